// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import TestSupport
import Testing
import Synchronization
import Threading

// Every secret of the settings has this word in it.
private let secretWord = "hush"
private let key = Array("hush hush, nobody knows".utf8)
private let secret = "whsec_" + Data(key).base64EncodedString()
private let finishedAt = "2026-01-02T03:04:05.678Z"
/// With number text, key order, a duplicate key and spaces that a parser would lose.
private let record =
  #"{"id":"\#(TestTask.id)", "params":{"b":1e2,"a":0.10,"a":"\u0041/"},"result":[1.0 ],"finishedAt":"\#(finishedAt)"}"#
private let ok = "HTTP/1.1 204 No Content\r\n\r\n"

/// The plugin with its settings, and its two exports.
private struct Webhook {
  let plugin: LoadedPlugin

  init(_ url: String, _ more: String = "") throws {
    plugin = try LoadedPlugin("Webhook", settings: #"{"url":"\#(url)"\#(more)}"#)
  }

  init(_ server: LoopbackServer, _ more: String = #","secret":"\#(secret)""#) throws {
    try self.init("http://127.0.0.1:\(server.port)/hooks/\(secretWord)?token=\(secretWord)", more)
  }

  /// Posts on this thread; `started` gets the call before.
  func post(
    completed: Bool = true, record: String = record, started: (TestTask) -> Void = { _ in }
  ) throws -> TestTask.Outcome {
    let handlers = completed ? plugin.exports.callbacks : plugin.exports.exceptionHandlers
    let handler = try #require(handlers["post"])
    let task = TestTask(host: plugin.host, data: handler.data, params: Array("null".utf8), record: record)
    started(task)
    var outcome = roost_outcome()
    outcome.status = completed ? ROOST_OK : ROOST_FAILED
    outcome.finished_at = 1_700_000_001_500
    return try plugin.handle(handler, outcome, as: task)
  }
}

/// Posts once to a server that answers as the script says.
private func post(
  _ settings: String = "", _ script: @escaping @Sendable (LoopbackServer.Connection) -> Void
) throws -> (outcome: TestTask.Outcome, requests: [LoopbackServer.Request]) {
  let server = try LoopbackServer(script)
  defer { server.stop() }
  let outcome = try Webhook(server, settings).post()
  #expect(!outcome.failure.message.contains(secretWord), "\(outcome.failure.message)")
  return (outcome, server.requests)
}

/// HMAC-SHA-256 from its definition, over the digests of another program than the plugin uses.
private func signature(_ key: [UInt8], _ text: String) throws -> String {
  func sha256(_ bytes: [UInt8]) throws -> [UInt8] {
    let (process, input, output) = (Process(), Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: bytes)
    try input.fileHandleForWriting.close()
    let hex = String(decoding: output.fileHandleForReading.readDataToEndOfFile().prefix(64), as: UTF8.self)
    return stride(from: 0, to: 64, by: 2).compactMap { UInt8(hex.dropFirst($0).prefix(2), radix: 16) }
  }
  let block = key + [UInt8](repeating: 0, count: 64 - key.count)
  let inner = try sha256(block.map { $0 ^ 0x36 } + Array(text.utf8))
  return "v1," + Data(try sha256(block.map { $0 ^ 0x5C } + inner)).base64EncodedString()
}

private func expectSigned(_ request: LoopbackServer.Request, with key: [UInt8] = key) throws {
  let id = try #require(request.header("webhook-id"))
  let timestamp = try #require(request.header("webhook-timestamp"))
  #expect(request.header("webhook-signature") == (try signature(key, "\(id).\(timestamp).\(request.body)")))
}

@Suite("Webhook")
struct WebhookTests {
  @Test("The signature of these tests is that of Standard Webhooks")
  func knownSignature() throws {
    let key = try #require(Data(base64Encoded: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    let text = #"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#
    #expect(try signature(Array(key), text) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  }

  @Test("The record is posted byte for byte, named, dated and signed", arguments: [true, false])
  func posts(completed: Bool) throws {
    let server = try LoopbackServer { $0.send(ok) }
    defer { server.stop() }
    // time() may lag a little behind the finer clock.
    let before = Int(Date().timeIntervalSince1970) - 1
    let outcome = try Webhook(server).post(completed: completed)
    #expect(outcome.status == ROOST_OK, "\(outcome.failure.message)")

    let request = try #require(server.requests.first)
    #expect(server.requests.count == 1)
    #expect(request.head.hasPrefix("POST /hooks/hush?token=hush HTTP/1.1\r\n"))
    #expect(request.header("content-type") == "application/json")
    #expect(request.header("user-agent") == "roost-webhook/1.0")
    #expect(request.header("expect") == nil)
    let word = completed ? "completed" : "failed"
    #expect(request.body == #"{"type":"task.\#(word)","timestamp":"\#(finishedAt)","data":\#(record)}"#)
    #expect(request.header("webhook-id") == "\(TestTask.id).\(word)")
    let timestamp = try #require(request.header("webhook-timestamp").flatMap { Int($0) })
    #expect(before...Int(Date().timeIntervalSince1970) ~= timestamp)
    try expectSigned(request)
  }

  @Test("Params as deep as Roost takes them arrive too")
  func deepRecord() throws {
    let server = try LoopbackServer { $0.send(ok) }
    defer { server.stop() }
    let deep = #"{"params":\#(String(repeating: "[", count: 512))\#(String(repeating: "]", count: 512))}"#
    let outcome = try Webhook(server).post(record: deep)
    #expect(outcome.status == ROOST_OK, "\(outcome.failure.message)")
    let body = #"{"type":"task.completed","timestamp":"2023-11-14T22:13:21.500Z","data":\#(deep)}"#
    #expect(server.requests.first?.body == body)
  }

  @Test("A repeat has the same id and a signature of its own")
  func repeats() throws {
    let server = try LoopbackServer { $0.send("HTTP/1.1 503 Busy\r\n\r\n") }
    defer { server.stop() }
    let webhook = try Webhook(server)
    for _ in 0..<2 { #expect(try webhook.post().status == ROOST_FAILED) }
    #expect(server.requests.count == 2)
    #expect(Set(server.requests.map { $0.header("webhook-id") }).count == 1)
    for request in server.requests { try expectSigned(request) }
  }

  @Test("A secret that is no whsec_ is a key as it stands, and without one nothing is signed")
  func otherSecrets() throws {
    let plain = try #require(try post(#","secret":"grüße, hush""#) { $0.send(ok) }.requests.first)
    try expectSigned(plain, with: Array("grüße, hush".utf8))
    let unsigned = try #require(try post { $0.send(ok) }.requests.first)
    #expect(unsigned.header("webhook-signature") == nil && unsigned.header("webhook-id") != nil)
  }

  @Test("A password in the URL is sent and told to nobody else")
  func password() throws {
    let server = try LoopbackServer { $0.send("HTTP/1.1 401 No\r\n\r\n") }
    defer { server.stop() }
    let outcome = try Webhook("http://me:hush@127.0.0.1:\(server.port)/").post()
    let sent = Data("me:hush".utf8).base64EncodedString()
    #expect(server.requests.first?.header("authorization") == "Basic \(sent)")
    #expect(outcome.status == ROOST_REJECTED && !outcome.failure.message.contains("hush"))
    #expect(outcome.failure.message.hasPrefix("127.0.0.1:\(server.port) answered 401"))
  }

  @Test("2xx is delivered", arguments: ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Fine"])
  func delivered(status: String) throws {
    #expect(try post { $0.send("HTTP/1.1 \(status)\r\n\r\n") }.outcome.status == ROOST_OK)
  }

  @Test(
    "5xx, 429 and 408 are worth another try, after the time that the receiver names",
    arguments: [
      ("500 Oops", 0), ("502 Bad Gateway", 0), ("503 Busy\r\nRetry-After: 7", 7000), ("599 Odd", 0),
      ("408 Request Timeout", 0), ("429 Too Many Requests\r\nretry-after:120", 120_000),
      ("429 Slow\r\nRetry-After: 999999", 86_400_000), ("429 Slow\r\nRetry-After: 0", 1),
      ("503 Busy\r\nRetry-After: Fri, 01 Jan 2100 00:00:00 GMT", 86_400_000),
      ("503 Busy\r\nRetry-After: Fri, 01 Jan 2021 00:00:00 GMT", 1), ("503 Busy\r\nRetry-After: soon", 0),
    ])
  func tryAgain(head: String, retryAfter: Int64) throws {
    let outcome = try post { $0.send("HTTP/1.1 \(head)\r\nContent-Length: 4\r\n\r\nhush") }.outcome
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.retryAfterMillis == retryAfter)
    #expect(outcome.failure.message.contains(" answered \(head.prefix(3))"))
  }

  @Test(
    "Other answers are final",
    arguments: [
      "400 Bad", "401 No", "403 Forbidden", "404 Not Found", "410 Gone", "413 Too Large", "422 Odd", "304 Same",
    ])
  func final(status: String) throws {
    let (outcome, requests) = try post { $0.send("HTTP/1.1 \(status)\r\nContent-Length: 4\r\n\r\nhush") }
    #expect(outcome.status == ROOST_REJECTED && requests.count == 1)
    #expect(outcome.failure.message.contains(" answered \(status.prefix(3))"))
  }

  @Test("A redirect is not followed, and the message says so", arguments: [301, 302, 303, 307, 308])
  func redirect(status: Int) throws {
    let other = try LoopbackServer { $0.send(ok) }
    defer { other.stop() }
    let outcome = try post {
      $0.send("HTTP/1.1 \(status) Over There\r\nLocation: http://127.0.0.1:\(other.port)/\r\n\r\n")
    }.outcome
    #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.contains("redirects are not followed"))
    #expect(other.requests.isEmpty)
  }

  @Test(
    "A receiver that hangs is given up after the timeout",
    arguments: ["", "HTTP/1.1 200 OK\r\nContent-Ty", "HTTP/1.1 100 Continue\r\n\r\n"])
  func hangs(answer: String) throws {
    let outcome = try post(#","timeout":"200ms""#) {
      $0.send(answer)
      $0.waitForHangUp()
    }.outcome
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.hasSuffix(": no whole answer within 0.2 seconds"), "\(outcome.failure.message)")
  }

  @Test("Once the status is there it counts, whatever becomes of the rest", arguments: [true, false])
  func statusCounts(hangs: Bool) throws {
    for (status, expected) in [("200 OK", ROOST_OK), ("500 Oops", ROOST_FAILED), ("404 No", ROOST_REJECTED)] {
      let outcome = try post(#","timeout":"500ms""#) {
        $0.send("HTTP/1.1 \(status)\r\nContent-Length: 100\r\n\r\nhalf")
        if hangs { $0.waitForHangUp() }
      }.outcome
      #expect(outcome.status == expected, "\(outcome.failure.message)")
    }
  }

  @Test("Of an answer of 1 GB little is read, and its status counts")
  func giant() throws {
    for (status, expected) in [("200 OK", ROOST_OK), ("503 Busy", ROOST_FAILED)] {
      let sent = Lock(0)
      let outcome = try post {
        let block = [UInt8](repeating: 0x78, count: 1 << 20)
        $0.send("HTTP/1.1 \(status)\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in 0..<1024 where $0.send(block) { sent.withLock { $0 += 1 } }
      }.outcome
      #expect(outcome.status == expected, "\(outcome.failure.message)")
      // What the sockets hold comes to a few of the 1024.
      #expect(sent.withLock { $0 } < 100)
    }
  }

  @Test("Headers without end are cut off")
  func endlessHeaders() throws {
    let sent = Lock(0)
    let outcome = try post {
      $0.send("HTTP/1.1 200 OK\r\n")
      let block = String(repeating: "X-More: of this\r\n", count: 65_536)
      for _ in 0..<1024 where $0.send(block) { sent.withLock { $0 += 1 } }
    }.outcome
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(sent.withLock { $0 } < 100)
  }

  @Test(
    "What is no HTTP answer is worth another try", arguments: ["", "+OK hello\r\n", "HTTP/1.1 200 OK\r\nContent-Ty"])
  func noAnswer(bytes: String) throws {
    let outcome = try post { $0.send(bytes) }.outcome
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.hasPrefix("cannot post to 127.0.0.1:"), "\(outcome.failure.message)")
  }

  @Test("Nobody there is worth another try")
  func nobody() throws {
    let refused = try Webhook("http://127.0.0.1:1/hush").post()
    #expect(refused.status == ROOST_FAILED && refused.failure.retryable)
    #expect(refused.failure.message == "cannot post to 127.0.0.1:1: Connection refused")
    let unknown = try Webhook("http://nobody.invalid/hush").post()
    #expect(unknown.status == ROOST_FAILED && unknown.failure.retryable)
    #expect(unknown.failure.message.hasPrefix("cannot post to nobody.invalid: "), "\(unknown.failure.message)")
    let deaf = try DeafPort()
    let silent = try Webhook("http://127.0.0.1:\(deaf.number)/", #","timeout":"200ms""#).post()
    #expect(silent.status == ROOST_FAILED && silent.failure.retryable)
    #expect(silent.failure.message.hasSuffix(": no connection within 0.2 seconds"), "\(silent.failure.message)")
  }

  @Test(
    "Without allowPrivate nothing but public addresses is posted to, whatever name or spelling leads there",
    arguments: [
      "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::]",
      "[64:ff9b::7f00:1]", "169.254.169.254", "10.1.2.3", "[fd00::1]",
    ])
  func privateAddress(host: String) throws {
    let server = try LoopbackServer { $0.send(ok) }
    defer { server.stop() }
    let outcome = try Webhook("http://\(host):\(server.port)/hush", #","allowPrivate":false"#).post()
    #expect(outcome.status == ROOST_REJECTED)
    #expect(
      outcome.failure.message.hasSuffix(", which is not public, and settings.allowPrivate is false"),
      "\(outcome.failure.message)")
    #expect(!outcome.failure.message.contains("hush") && server.requests.isEmpty)
  }

  @Test(
    "With allowPrivate, and by default, a name of this machine is posted to", arguments: ["", #","allowPrivate":true"#])
  func privateAddressAllowed(settings: String) throws {
    let server = try LoopbackServer { $0.send(ok) }
    defer { server.stop() }
    #expect(try Webhook("http://localhost:\(server.port)/", settings).post().status == ROOST_OK)
  }

  @Test("A worker that must go ends the post, and the call is given back")
  func stop() throws {
    let call = Lock<TestTask?>(nil)
    // The request has come, so the post is under way.
    let server = try LoopbackServer {
      call.withLock { $0 }?.requestStop(3)
      $0.waitForHangUp()
    }
    defer { server.stop() }
    let outcome = try Webhook(server).post { task in call.withLock { $0 = task } }
    #expect(outcome.status == ROOST_CANCELLED)
  }

  @Test("Many posts at once each get their own answer")
  func concurrent() throws {
    let server = try LoopbackServer { $0.send(ok) }
    let busy = try LoopbackServer { $0.send("HTTP/1.1 503 Busy\r\n\r\n") }
    defer {
      server.stop()
      busy.stop()
    }
    let webhooks = (try Webhook(server), try Webhook(busy))
    let wrong = Lock(0)
    DispatchQueue.concurrentPerform(iterations: 64) { number in
      let outcome = try? (number % 2 == 0 ? webhooks.0 : webhooks.1).post()
      if outcome?.status != (number % 2 == 0 ? ROOST_OK : ROOST_FAILED) { wrong.withLock { $0 += 1 } }
    }
    #expect(wrong.withLock { $0 } == 0)
    #expect(server.requests.count == 32 && busy.requests.count == 32)
  }

  @Test(
    "Settings that cannot work refuse the config, without telling a secret",
    arguments: [
      ("{}", "settings.url: missing"), (#"{"url":7}"#, "settings.url: "),
      (#"{"url":"ftp://hush@x/"}"#, "settings.url: no http:// or https:// URL"),
      (#"{"url":"hush.example.com/x"}"#, "settings.url: no http://"),
      (#"{"url":"http://"}"#, "settings.url: no http://"),
      (#"{"url":"http://exa mple.com/hush"}"#, "settings.url: no http://"),
      (#"{"url":"http://x:99999/hush"}"#, "settings.url: no http://"), (#"{"url":""}"#, "settings.url: no http://"),
      (#"{"url":"http://x","secret":""}"#, "settings.secret: empty"),
      (#"{"url":"http://x","secret":"whsec_hush!"}"#, "settings.secret: what follows whsec_ is not base64"),
      (#"{"url":"http://x","secret":"whsec_"}"#, "settings.secret: what follows whsec_ is not base64"),
      (#"{"url":"http://x","allowPrivate":"no"}"#, "settings.allowPrivate: "),
      (#"{"url":"http://x","timeout":"0s"}"#, #"settings.timeout: "0s" is no duration"#),
      (#"{"url":"http://x","timeout":"48h"}"#, #"settings.timeout: "48h" is no duration"#),
      (
        #"{"url":"http://x","secert":"hush"}"#, "settings.secert: unknown; there are url, secret, allowPrivate, timeout"
      ),
    ])
  func refused(settings: String, message: String) throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) { try LoadedPlugin("Webhook", settings: settings) }
    #expect(refused.status == ROOST_REJECTED && refused.message.contains(message), "\(refused.message)")
    #expect(!refused.message.contains("hush"))
  }
}
