// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("What a submission may say")
struct SubmissionMemberTests {
  @Test("A delayed task is SCHEDULED until it is due, and its record says when")
  func delay() async throws {
    let api = try await APIFixture.make()
    let before = api.store.clock.now
    let answer = try await api.post("/v1/tasks", #"{"type":"work","delay":"10s"}"#)
    #expect(answer.status == 202)
    let id = try #require(answer.json?["id"]?.text)
    #expect(answer.text == #"{"id":"\#(id)","type":"work","status":"SCHEDULED"}"#)
    let task = try #require(TaskID(id))
    let record = try #require(try await api.store.record(task))
    let due = try #require(record.dueAt)
    // Counted from the submission, which is stored a little later.
    #expect((before.millis...record.createdAt.millis).contains(due.millis - 10_000))
    #expect(try await api.get("/v1/tasks/\(id)").json?["dueAt"]?.text == due.iso8601)
    #expect(try await api.get("/v1/types/work").json?["counts"]?["SCHEDULED"]?.integer == 1)
    let list = try await api.get("/v1/tasks?status=SCHEDULED")
    #expect(list.json?["tasks"]?.elements?.map { $0["id"]?.text } == [id])
  }

  @Test("runAt is a time with any offset; what is past or not delayed runs at once")
  func runAt() async throws {
    let api = try await APIFixture.make()
    let later = Timestamp(millis: (api.store.clock.now.millis / 1000 + 3600) * 1000)
    let there = Timestamp(millis: later.millis + 8 * 3_600_000).iso8601.dropLast().lowercased() + "4567+08:00"
    for text in [later.iso8601, there] {
      let id = try await api.submit("1", #","runAt":"\#(text)""#)
      #expect(try await api.get("/v1/tasks/\(id)").json?["dueAt"]?.text == later.iso8601, "\(text)")
      #expect(try await api.status(id) == "SCHEDULED")
    }
    for member in [
      #""runAt":"2001-01-01T00:00:00Z""#, #""runAt":"0001-01-01T00:00:00z""#, #""delay":"0s""#, #""delay":"0ms""#,
      #""delay":null,"runAt":null"#,
    ] {
      let answer = try await api.post("/v1/tasks", #"{"type":"work",\#(member)}"#)
      #expect(answer.json?["status"]?.text == "PENDING", "\(member): \(answer.text)")
      let id = try #require(answer.json?["id"]?.text)
      #expect(try await api.get("/v1/tasks/\(id)").json?["dueAt"] == nil, "\(member)")
    }
    let longest = try await api.submit("1", #","delay":"3650d","expires":"3650d","timeout":"3650d""#)
    #expect(try await api.status(longest) == "SCHEDULED")
  }

  @Test("Tasks of high priority are taken first, and the record says the priority")
  func priority() async throws {
    let api = try await APIFixture.make()
    var ids: [TaskID] = []
    for name in ["low", "normal", "high"] {
      let id = try await api.submit("1", #","priority":"\#(name)""#)
      #expect(try await api.get("/v1/tasks/\(id)").json?["priority"]?.text == name)
      ids.append(id)
    }
    let worker = try await api.worker()
    try await worker.begin()
    #expect(try await worker.take("work", count: 1).map(\.id) == [ids[2]])
  }

  @Test("The same key again answers 200 with the first task as it is now; other types have keys of their own")
  func key() async throws {
    let api = try await APIFixture.make()
    let key = String(repeating: "é", count: 127) + "\\\"\\n"
    let body = #"{"type":"work","params":1,"key":"\#(key)"}"#
    let first = try await api.post("/v1/tasks", body)
    #expect(first.status == 202)
    let id = try #require(first.json?["id"]?.text)
    #expect(try await api.get("/v1/tasks/\(id)").text.contains(#""key":"\#(key)""#))
    let again = try await api.post("/v1/tasks", body.replacing("1,", with: "2,"))
    #expect(again.status == 200)
    #expect(again.text == #"{"id":"\#(id)","type":"work","status":"PENDING"}"#)
    #expect(again.headers["location"] == "/v1/tasks/\(id)")
    #expect(try await api.post("/v1/tasks", body.replacing("work", with: "small")).status == 202)
    let worker = try await api.worker()
    try await worker.begin()
    try await worker.take("work", .completed(result: bytes("1")))
    let done = try await api.post("/v1/tasks", body)
    #expect(done.status == 200)
    #expect(done.json?["status"]?.text == "COMPLETED")
    #expect(try await api.request("DELETE", "/v1/tasks/\(id)").status == 204)
    let fresh = try await api.post("/v1/tasks", body)
    #expect(fresh.status == 202)
    #expect(fresh.json?["id"]?.text != id)
  }

  @Test("Any text is a key, and texts that differ in one byte are two")
  func strangeKeys() async throws {
    let api = try await APIFixture.make()
    var seen: Set<TaskID> = []
    let keys = [
      " ", "a b", "a:b", "{00}", "%s", "\\u0000", "a\\u0000b", "\\u00e9", "e\\u0301", "\u{1f600}", "k", "K", "k ",
      String(repeating: "\\u0001", count: 256), String(repeating: "k", count: 256),
    ]
    for key in keys {
      let id = try await api.submit("1", #","key":"\#(key)""#)
      let again = try await api.post("/v1/tasks", #"{"type":"work","key":"\#(key)"}"#)
      #expect(again.status == 200, "\(key)")
      #expect(again.json?["id"]?.text == id.description, "\(key)")
      seen.insert(id)
    }
    #expect(seen.count == keys.count)
  }

  @Test("A task that may not start in time any more fails as expired")
  func expires() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let hour = Timestamp(millis: api.store.clock.now.millis + 3_600_000)
    for text in ["1h", hour.iso8601] {
      let id = try await api.submit("1", #","expires":"\#(text)""#)
      let taken = try await worker.take("work", .completed(result: bytes("1")))
      #expect(taken.first?.record.extras.expiresMillis ?? 0 > hour.millis - 60_000, "\(text)")
      #expect(try await api.status(id) == "COMPLETED", "\(text)")
    }
    for text in ["0s", "2001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
      let id = try await api.submit("1", #","expires":"\#(text)""#)
      let taken = try await worker.take("work", .expired)
      #expect(taken.first?.record.extras.expiresMillis ?? .max <= api.store.clock.now.millis, "\(text)")
      let record = try await api.get("/v1/tasks/\(id)")
      #expect(record.json?["status"]?.text == "FAILED", "\(text): \(record.text)")
      #expect(record.json?["error"]?["kind"]?.text == "expired", "\(text): \(record.text)")
    }
  }

  @Test("A timeout of its own goes with the task")
  func timeout() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    _ = try await api.submit("1", #","timeout":"1500ms""#)
    _ = try await api.submit("1", #","timeout":null"#)
    let taken = try await worker.take("work")
    #expect(taken.map { $0.record.extras.timeoutMillis } == [1500, nil])
  }

  @Test("A type that has all the tasks it may have refuses more with 429, until some are gone")
  func queueFull() async throws {
    var type = APIFixture.types[0]
    type.queueCapacity = 2
    let api = try await APIFixture.make(types: [type])
    let first = try await api.submit("1", #","delay":"1h""#)
    _ = try await api.submit()
    let refused = try await api.post("/v1/tasks", #"{"type":"work"}"#)
    #expect(refused.status == 429)
    #expect(refused.code == "queue_full")
    #expect(refused.headers["retry-after"] == "1")
    #expect(refused.json?["limit"]?.integer == 2)
    #expect(try await api.request("POST", "/v1/tasks/\(first)/cancel").status == 200)
    _ = try await api.submit()
  }

  @Test("Each bad value is refused by the name of its member, and nothing is stored")
  func badValues() async throws {
    let api = try await APIFixture.make()
    let far = Timestamp(millis: api.store.clock.now.millis + 3651 * 86_400_000).iso8601
    let cases: [(members: String, field: String?, detail: String)] = [
      (#""delay":"-1s""#, "delay", "is not a duration"), (#""delay":"1.5s""#, "delay", "is not a duration"),
      (#""delay":"""#, "delay", "is not a duration"), (#""delay":"10""#, "delay", "is not a duration"),
      (#""delay":10"#, nil, "\"delay\" is not a string"), (#""delay":{}"#, nil, "is not a string"),
      (#""delay":"36500d""#, "delay", "more than 3650d"), (#""delay":"315360000001ms""#, "delay", "more than 3650d"),
      (#""delay":"9223372036854775807ms""#, "delay", "more than 3650d"),
      (#""delay":"9223372036854775808ms""#, "delay", "is not a duration"),
      (#""runAt":"tomorrow""#, "runAt", "is not a time"), (#""runAt":"10s""#, "runAt", "is not a time"),
      (#""runAt":"2027-02-29T00:00:00Z""#, "runAt", "is not a time"),
      (#""runAt":"2027-02-28T00:00:00""#, "runAt", "is not a time"),
      (#""runAt":1795514613"#, nil, "is not a string"), (#""runAt":"\#(far)""#, "runAt", "more than 3650d"),
      (#""runAt":"9999-12-31T23:59:59Z""#, "runAt", "more than 3650d"),
      (#""key":"\ud800""#, "key", "no Unicode text"), (#""key":"a\udfffb""#, "key", "no Unicode text"),
      (#""delay":"1s","runAt":"2027-01-01T00:00:00Z""#, nil, "exclude each other"),
      (#""timeout":"0s""#, "timeout", "is zero"), (#""timeout":"-5m""#, "timeout", "is not a duration"),
      (#""timeout":"3651d""#, "timeout", "more than 3650d"), (#""timeout":true"#, nil, "is not a string"),
      (#""expires":"-1h""#, "expires", "neither a duration"), (#""expires":"soon""#, "expires", "neither a duration"),
      (#""expires":"3651d""#, "expires", "more than 3650d"), (#""expires":"\#(far)""#, "expires", "more than 3650d"),
      (#""priority":"urgent""#, "priority", "none of high, normal, low"),
      (#""priority":"hihg""#, "priority", "did you mean \"high\"?"), (#""priority":"High""#, "priority", "is none of"),
      (#""priority":1"#, nil, "is not a string"),
      (#""key":"""#, "key", "has 0 bytes"), (#""key":7"#, nil, "is not a string"),
      (#""key":"\#(String(repeating: "é", count: 129))""#, "key", "has 258 bytes; it may have 1 to 256"),
      (#""key":"\#(String(repeating: "k", count: 1 << 20))""#, "key", "has 1048576 bytes; it may have 1 to 256"),
    ]
    for (members, field, detail) in cases {
      let answer = try await api.post("/v1/tasks", #"{"type":"work",\#(members)}"#)
      #expect(answer.status == 400, "\(members.prefix(60)): \(answer.text)")
      #expect(answer.code == "bad_request", "\(members.prefix(60))")
      #expect(answer.json?["field"]?.text == field, "\(members.prefix(60)): \(answer.text)")
      #expect(answer.detail.contains(detail), "\(members.prefix(60)): \(answer.detail)")
      #expect(answer.text.utf8.count < 400)
    }
    let state = try await api.store.states(of: ["work"])["work"]
    #expect(state?.counts.values.reduce(0, +) == 0)
  }
}
