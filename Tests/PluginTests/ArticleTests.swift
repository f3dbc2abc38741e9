// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Testing
import TestSupport
import Synchronization
import Threading

private struct Article: Decodable {
  struct Usage: Decodable, Equatable {
    let totalTokens: Int

    private enum CodingKeys: String, CodingKey { case totalTokens = "total_tokens" }
  }
  let text: String
  let model: String
  let finishReason: String
  let usage: Usage?
}

private let key = "sk-very-secret"
private let okHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
private let chunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
private let finish = #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\n"

private func delta(_ text: String) -> String {
  #"data: {"model":"qwen-7b","choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":null}]}"# + "\n\n"
}

private func generate(
  _ params: String = #"{"topic":"owls","words":10}"#, settings: String = "",
  _ script: @escaping @Sendable (LoopbackServer.Connection) -> Void
) throws -> (outcome: TestTask.Outcome, requests: [LoopbackServer.Request]) {
  let server = try LoopbackServer(script)
  defer { server.stop() }
  let plugin = try LoadedPlugin("Article", settings: plainSettings(server.port, settings))
  let outcome = try plugin.run("generate", params)
  #expect(!outcome.failure.message.contains(key))
  #expect(plugin.host.misuse == [])
  return (outcome, server.requests)
}

private func plainSettings(_ port: UInt16, _ more: String = "") -> String {
  #"{"endpoint":"http://127.0.0.1:\#(port)/v1/","model":"qwen","apiKey":"\#(key)"\#(more)}"#
}

private func article(_ outcome: TestTask.Outcome) throws -> Article {
  #expect(outcome.status == ROOST_OK, "\(outcome.failure.message)")
  return try JSONDecoder().decode(Article.self, from: Data((outcome.result ?? "").utf8))
}

private let owls: String = delta("Owls")
private let brokenAnswers: [(String, String)] = [
  ("\(okHead)\(delta("Owls hunt"))", "without a finish_reason after 2 words"),
  ("\(okHead)\(owls)data: [DONE]\n\n", "without a finish_reason"),
  ("\(okHead)", "without a finish_reason"),
  ("\(chunkedHead)5\r\ndata:\r\n", "broke"),
  ("\(chunkedHead)fff\r\n\(owls)\(finish)", "broke"),
  ("\(chunkedHead)zz\r\n\(owls)\(finish)", "broke"),
  ("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n\(owls)\(finish)", "broke"),
  ("\(okHead)\(owls)data: {\"choices\":[{\n\n\(finish)", "no chat completion chunk: {\"choices\":[{"),
  ("\(okHead)\(owls)data: {\"error\":{\"message\":\"overloaded \(key)\"}}\n\n", "overloaded …"),
  ("\(okHead)\(finish)", "wrote nothing"),
  ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "without a finish_reason"),
  ("", "cannot ask"),
  ("HTTP/1.1 200 OK\r\nContent-Ty", "cannot ask"),
  ("+OK hello\r\n", "is not HTTP"),
]

@Suite("Article")
struct ArticleTests {
  @Test("A whole stream becomes an article, with progress while it comes")
  func wholeStream() throws {
    let (outcome, requests) = try generate(
      #"{"topic":"owls","language":"German","words":10,"instructions":"Be brief."}"#
    ) {
      $0.send(
        okHead + ": hello\n\n"
          + #"data: {"model":"qwen-7b","choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#)
      $0.send("\n\n" + delta("Owls ") + delta("hunt at night, ") + delta("mice fear th") + delta("em.") + finish)
      $0.send(#"data: {"choices":[],"usage":{"total_tokens":42}}"# + "\n\ndata: [DONE]\n\n")
    }
    let found = try article(outcome)
    #expect(found.text == "Owls hunt at night, mice fear them.")
    #expect(found.model == "qwen-7b" && found.finishReason == "stop" && found.usage?.totalTokens == 42)
    #expect(outcome.progress.last == .init(fraction: 0.7, note: "drafting, 7 words"))
    #expect(outcome.progress.count >= 4)

    let request = try #require(requests.first)
    #expect(request.head.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
    #expect(request.head.contains("Authorization: Bearer \(key)"))
    for part in [#""stream":true"#, #""model":"qwen""#, "owls", "German", "Be brief.", "10 words"] {
      #expect(request.body.contains(part), "\(part)")
    }
  }

  @Test("Chunks may be cut anywhere: inside lines, CR LF and characters")
  func everyCut() throws {
    let (outcome, _) = try generate {
      let stream = delta("Über Eulen 猫头鹰 🦉") + "event: x\nid: 7\n: comment\n\n" + finish + "data: [DONE]\n\n"
      $0.send(chunkedHead)
      for byte in stream.replacingOccurrences(of: "\n", with: "\r\n").utf8 {
        $0.send([0x31, 0x0D, 0x0A, byte, 0x0D, 0x0A])
      }
      $0.send("0\r\n\r\n")
    }
    #expect(try article(outcome).text == "Über Eulen 猫头鹰 🦉")
  }

  @Test("An event may have several data lines, and the last may lack its empty line")
  func oddEvents() throws {
    let (outcome, _) = try generate {
      $0.send(okHead + "\u{FEFF}data:{\"choices\":[{\"delta\":\ndata: {\"content\":\"Owls.\"}}]}\r\r")
      $0.send(#"data: {"choices":[{"delta":{},"finish_reason":"length"}]}"#)
    }
    let found = try article(outcome)
    #expect(found.text == "Owls." && found.finishReason == "length" && found.model == "qwen" && found.usage == nil)
  }

  @Test(
    "A stream that is not whole is a failure, never half an article",
    arguments: brokenAnswers)
  func brokenStreams(answer: String, message: String) throws {
    let (outcome, _) = try generate { $0.send(answer) }
    #expect(outcome.status == ROOST_FAILED && outcome.result == nil)
    #expect(outcome.failure.message.contains(message), "\(outcome.failure.message)")
    #expect(outcome.failure.retryable)
  }

  @Test(
    "A refusal says status and reason, and whether to try again",
    arguments: [
      ("429 Too Many Requests\r\nRetry-After: 7", #"{"error":{"message":"slow down"}}"#, "429: slow down", true, 7000),
      ("429 Busy\r\nRetry-After: 2592000", "", "429", true, 86_400_000),
      ("429 Busy\r\nRetry-After: soon", "", "429", true, 0),
      ("503 Busy\r\nretry-after: Fri, 01 Jan 2100 00:00:00 GMT", "", "503", true, 86_400_000),
      ("503 Busy\r\nRetry-After: Fri, 01 Jan 2021 00:00:00 GMT", "", "503", true, 1),
      ("500 Oops", "no JSON\n  at all", "500: no JSON at all", true, 0), ("503 Busy", "", "503", true, 0),
      ("408 Request Timeout", "", "408", true, 0), ("422 Unprocessable", "", "422", false, 0),
      ("401 Unauthorized", #"{"error":{"message":"wrong key \#(key)"}}"#, "401: wrong key …", false, 0),
      ("404 Not Found", #"{"error":"no such model"}"#, "404: no such model", false, 0),
      ("302 Found\r\nLocation: http://127.0.0.1:1/", "", "302", false, 0),
    ])
  func refusals(head: String, body: String, message: String, retryable: Bool, retryAfter: Int64) throws {
    let (outcome, _) = try generate { $0.send("HTTP/1.1 \(head)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)") }
    #expect(outcome.status == ROOST_FAILED)
    #expect(outcome.failure.message.hasSuffix("answered \(message)"), "\(outcome.failure.message)")
    #expect(outcome.failure.retryable == retryable && outcome.failure.retryAfterMillis == retryAfter)
  }

  @Test(
    "A server that falls silent is given up, wherever it does",
    arguments: ["", okHead, "\(okHead)\(owls)", "HTTP/1.1 500 Oops\r\n\r\n"])
  func stall(answer: String) throws {
    let (outcome, _) = try generate(settings: #","stallTimeout":"200ms""#) {
      $0.send(answer)
      $0.waitForHangUp()
    }
    #expect(outcome.status == ROOST_FAILED, "\(outcome.failure.message)")
    #expect(outcome.failure.message.contains(answer.contains("500") ? "answered 500" : "sent nothing for"))
    #expect(outcome.failure.retryable)
  }

  @Test("A server that sends a little again and again ends with the timeout")
  func drip() throws {
    let (outcome, _) = try generate(settings: #","timeout":"500ms""#) {
      $0.send(okHead + owls)
      while $0.send(": still here\n\n") {}
    }
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.contains("no whole answer within 0.5 seconds"), "\(outcome.failure.message)")
  }

  @Test("A port that takes no connections fails within the connect timeout")
  func deafPort() throws {
    let port = try DeafPort()
    let plugin = try LoadedPlugin("Article", settings: plainSettings(port.number, #","connectTimeout":"200ms""#))
    let outcome = try plugin.run("generate", #"{"topic":"owls"}"#)
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.hasSuffix("no connection within 0.2 seconds"), "\(outcome.failure.message)")
  }

  @Test("A connection that is reset in the stream is worth another try")
  func reset() throws {
    let (outcome, _) = try generate {
      $0.send(okHead + owls)
      $0.reset()
    }
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.contains("broke"), "\(outcome.failure.message)")
  }

  @Test("A port that does not speak TLS is worth another try")
  func noTLS() throws {
    let server = try LoopbackServer { $0.send("HTTP/1.1 400 Bad Request\r\n\r\n") }
    defer { server.stop() }
    let settings = #"{"endpoint":"https://127.0.0.1:\#(server.port)","model":"qwen","connectTimeout":"2s"}"#
    let outcome = try LoadedPlugin("Article", settings: settings).run("generate", #"{"topic":"owls"}"#)
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.contains("cannot ask https://127.0.0.1"), "\(outcome.failure.message)")
  }

  @Test("After [DONE] nothing is waited for")
  func done() throws {
    let (outcome, _) = try generate(settings: #","stallTimeout":"60s""#) {
      $0.send(chunkedHead.replacing("chunked", with: "identity") + owls + finish + "data: [DONE]\n\n")
      $0.waitForHangUp()
    }
    #expect(try article(outcome).text == "Owls")
  }

  @Test("Of an endless error no more is read than its message needs")
  func endlessError() throws {
    let sent = Lock(0)
    let (outcome, _) = try generate {
      let block = String(repeating: "x", count: 1 << 20)
      $0.send("HTTP/1.1 500 Oops\r\nContent-Length: 1073741824\r\n\r\n")
      for _ in 0..<1024 where $0.send(block) { sent.withLock { $0 += 1 } }
    }
    #expect(outcome.status == ROOST_FAILED && outcome.failure.message.contains("answered 500: xxx"))
    // What the sockets hold comes to a few of the 1024.
    #expect(sent.withLock { $0 } < 100)
  }

  @Test(
    "A request to stop ends the stream, whatever the reason and wherever it is", arguments: 1...3 as ClosedRange<Int32>)
  func stop(reason: Int32) throws {
    for answer in ["", okHead + delta("Owls hunt")] {
      let server = try LoopbackServer {
        $0.send(answer)
        $0.waitForHangUp()
      }
      defer { server.stop() }
      let plugin = try LoadedPlugin("Article", settings: plainSettings(server.port))
      let task = try plugin.start("generate", #"{"topic":"owls"}"#)
      try eventually("it is under way") {
        !server.requests.isEmpty && (answer.isEmpty || task.progress.contains { $0.note.hasPrefix("drafting") })
      }
      plugin.stop(task, executor: "generate", reason: reason)
      #expect(try task.outcome().status == ROOST_CANCELLED)
    }
  }

  @Test("Nobody there is worth another try")
  func nobody() throws {
    let plugin = try LoadedPlugin("Article", settings: plainSettings(1))
    let outcome = try plugin.run("generate", #"{"topic":"owls"}"#)
    #expect(outcome.status == ROOST_FAILED && outcome.failure.retryable)
    #expect(outcome.failure.message.hasPrefix("cannot ask http://127.0.0.1:1/v1: "))
  }

  @Test(
    "Params that can never work are rejected",
    arguments: [
      ("{}", "params.topic: missing"), (#"{"topic":"  "}"#, "params.topic: empty"),
      (#"{"topic":"owls","words":3}"#, "params.words: 3"), (#"{"topic":"owls","words":"many"}"#, "params.words: "),
    ])
  func rejected(params: String, message: String) throws {
    let outcome = try LoadedPlugin("Article", settings: plainSettings(1)).run("generate", params)
    #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.hasPrefix(message))
  }

  @Test(
    "Settings that cannot work refuse the config",
    arguments: [
      ("{}", "settings.endpoint: missing"), (#"{"endpoint":"ftp://x","model":"m"}"#, "settings.endpoint: must begin"),
      (#"{"endpoint":"http://x","model":""}"#, "settings.model: empty"),
      (#"{"endpoint":"http://x","model":"m","apiKey":"a\r\nb"}"#, "settings.apiKey: "),
      (#"{"endpoint":"http://x","model":"m","stallTimeout":"soon"}"#, #"settings.stallTimeout: "soon" is no duration"#),
    ])
  func refused(settings: String, message: String) throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) { try LoadedPlugin("Article", settings: settings) }
    #expect(refused.status == ROOST_REJECTED && refused.message.contains(message), "\(refused.message)")
  }
}
