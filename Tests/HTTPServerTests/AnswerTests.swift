// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPServer
import Synchronization
import TestSupport
import Testing

@Suite("Answers")
struct AnswerTests {
  @Test("Many kept-alive clients each get their own answers, at once and parked", arguments: [false, true])
  func manyClients(isParked: Bool) throws {
    let answerer = Answerer { HTTPResponse(status: 200, contentType: "", body: $0.body) }
    defer { answerer.end() }
    let server = try startServer { request, responder in
      guard isParked else {
        return responder.respond(HTTPResponse(status: 200, contentType: "", body: request.body))
      }
      answerer.lot.park(request, responder)
    }
    defer { server.stop(within: .seconds(5)) }
    try onThreads(64) { index in
      let client = try RawClient(server.address)
      for round in 0..<100 {
        let answer = try client.request("POST", "/echo", body: Array("client \(index) round \(round)".utf8))
        #expect(answer.status == 200)
        #expect(answer.text == "client \(index) round \(round)")
      }
    }
  }

  @Test("Pipelined requests are answered in their order", arguments: [false, true])
  func pipelined(isParked: Bool) throws {
    let answerer = Answerer { .text($0.path) }
    defer { answerer.end() }
    let server = try startServer { request, responder in
      if isParked { answerer.lot.park(request, responder) } else { responder.respond(.text(request.path)) }
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send((0..<50).map { RawClient.head("GET", "/\($0)") }.joined())
    for index in 0..<50 { #expect(try client.answer().text == "/\(index)") }
  }

  @Test("Two thousand parked requests are answered later in one batch from another thread")
  func manyParked() throws {
    raiseDescriptorLimit()
    let lot = ParkingLot()
    let server = try startServer { lot.park($0, $1) }
    defer { server.stop(within: .seconds(5)) }
    let clients = try (0..<2000).map { index in
      let client = try RawClient(server.address)
      try client.send(RawClient.head("GET", "/\(index)"))
      return client
    }
    try eventually("all are parked") { lot.count == 2000 }
    #expect(lot.answerAll { .text($0.path) } == 2000)
    for (index, client) in clients.enumerated() {
      #expect(try client.answer().text == "/\(index)")
    }
    #expect(!clients[0].isClosed(), "the connection lives on")
    try clients[0].send(RawClient.head("GET", "/again"))
    try eventually("parked again") { lot.count == 1 }
    lot.answerAll { .text($0.path) }
    #expect(try clients[0].answer().text == "/again")
  }

  @Test("The first answer counts, a second one is ignored")
  func secondAnswer() throws {
    let server = try startServer { _, responder in
      responder.respond(.text("first"))
      responder.respond(.text("second"))
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    #expect(try client.request("GET", "/").text == "first")
    #expect(try client.request("GET", "/").text == "first")
  }

  @Test("Large answers arrive whole")
  func largeAnswers() throws {
    let body = (0..<(5 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let server = try startServer { _, responder in
      responder.respond(HTTPResponse(status: 200, contentType: "application/octet-stream", body: body))
    }
    defer { server.stop(within: .seconds(5)) }
    try onThreads(4) { _ in
      let client = try RawClient(server.address)
      for _ in 0..<3 {
        let answer = try client.request("GET", "/")
        #expect(answer.body == body)
      }
    }
  }

  @Test("Status, headers and type go out as given; 204 has no body")
  func answerHead() throws {
    let server = try startServer { request, responder in
      if request.path == "/none" {
        return responder.respond(HTTPResponse(status: 204, contentType: "", body: [1, 2, 3]))
      }
      responder.respond(
        HTTPResponse(
          status: 202, contentType: "application/json",
          headers: [("Location", "/v1/tasks/1"), ("X-Bad", "a\r\nX-Forged: 1")], body: Array("{}".utf8)))
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let answer = try client.request("POST", "/")
    #expect(answer.status == 202)
    #expect(answer.headers["content-type"] == "application/json")
    #expect(answer.headers["location"] == "/v1/tasks/1")
    #expect(answer.headers["x-bad"] == nil)
    #expect(answer.headers["x-forged"] == nil)
    #expect(answer.headers["date"] != nil)
    let none = try client.request("GET", "/none")
    #expect(none.status == 204)
    #expect(none.headers["content-length"] == nil)
    #expect(try client.request("POST", "/").status == 202)
  }

  @Test("HEAD is answered as GET without the body", arguments: [false, true])
  func head(isParked: Bool) throws {
    let answerer = Answerer { .text("\($0.method) hello") }
    defer { answerer.end() }
    let server = try startServer { request, responder in
      if isParked { answerer.lot.park(request, responder) } else { responder.respond(.text("\(request.method) hello")) }
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let head = try client.request("HEAD", "/")
    #expect(head.status == 200)
    #expect(head.headers["content-length"] == "9")
    #expect(try client.request("GET", "/").text == "GET hello")
  }
}
