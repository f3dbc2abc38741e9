// SPDX-License-Identifier: Apache-2.0
import HTTPAPI
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("POST /v1/tasks/status and /results")
struct BatchTests {
  @Test("Each id is answered as it was written, unknown and malformed ones with null")
  func mixed() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let done = try await api.submit()
    try await worker.take("work", .completed(result: bytes("[1.0 ]")))
    let null = try await api.submit()
    try await worker.take("work", .completed(result: bytes("null")))
    let failed = try await api.submit()
    try await worker.take("work", .failed(TaskError(kind: .exception, message: "no")))
    let large = try await api.submit()
    let text = "\"" + String(repeating: "r", count: 5000) + "\""
    try await worker.take("work", .completed(result: bytes(text)))
    let pending = try await api.submit()
    let never = "0192aaaaaaaa7000800000000000ff00"
    let ids =
      "[\"\(done)\",\"\(null)\", \"\(failed)\",\"\(large)\",\"\(pending)\",\"\(never)\",\"a\\\"b\",\"\",\"\(done)\"]"
    let statuses =
      #"{"\#(done)":"COMPLETED","\#(null)":"COMPLETED","\#(failed)":"FAILED","\#(large)":"COMPLETED","#
      + #""\#(pending)":"PENDING","\#(never)":null,"a\"b":null,"":null}"#
    let results =
      #"{"\#(done)":[1.0 ],"\#(null)":null,"\#(failed)":null,"\#(large)":\#(text),"#
      + #""\#(pending)":null,"\#(never)":null,"a\"b":null,"":null}"#

    let status = try await api.post("/v1/tasks/status", "{\"ids\":\(ids)}")
    #expect(status.status == 200)
    #expect(status.text == "{\"statuses\":\(statuses)}")
    let result = try await api.post("/v1/tasks/results", "{\"ids\":\(ids)}")
    #expect(result.status == 200)
    #expect(result.text == "{\"results\":\(results),\"statuses\":\(statuses)}")
  }

  @Test("A thousand ids are answered, one more is too many, and none is fine")
  func counts() async throws {
    let api = try await APIFixture.make()
    func ids(_ count: Int) -> String {
      "{\"ids\":[\((0..<count).map { "\"\(TaskID(high: 0x0192_0000_0000_7000, low: UInt64($0)))\"" }.joined(separator: ","))]}"
    }
    for path in ["/v1/tasks/status", "/v1/tasks/results"] {
      let full = try await api.post(path, ids(1000))
      #expect(full.status == 200)
      if case .object(let members)? = full.json?["statuses"]?.content { #expect(members.count == 1000) }
      #expect(try await api.post(path, ids(0)).status == 200)
      for count in [1001, 100_000] {
        let answer = try await api.post(path, ids(count))
        #expect(answer.status == 413)
        #expect(answer.code == "too_many")
        #expect(answer.json?["limit"]?.integer == 1000)
        #expect(answer.detail.contains("\(count)"))
      }
    }
  }

  @Test("Bodies without a list of strings are refused")
  func badBodies() async throws {
    let api = try await APIFixture.make()
    for (body, code) in [
      ("", "bad_json"), ("{", "bad_json"), ("[]", "bad_request"), ("{}", "bad_request"),
      (#"{"ids":"a"}"#, "bad_request"),
      (#"{"ids":null}"#, "bad_request"), (#"{"ids":[1]}"#, "bad_request"), (#"{"ids":["a",["b"]]}"#, "bad_request"),
      (#"{"ids":[],"ids":[]}"#, "bad_request"), (#"{"id":[]}"#, "unknown_field"),
    ] {
      for path in ["/v1/tasks/status", "/v1/tasks/results"] {
        let answer = try await api.post(path, body)
        #expect(answer.status == 400, "\(path) \(body)")
        #expect(answer.code == code, "\(path) \(body)")
      }
    }
  }
}
