// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPServer
import Synchronization
import TestSupport
import Testing

@Suite("Requests")
struct RequestTests {
  /// Answers with all that a handler sees of a request.
  static func describe(_ request: HTTPRequest, _ responder: HTTPResponder) {
    let query = request.query.map { "\($0.name)=\($0.value)" }
    responder.respond(.text("\(request.method) \(request.path) \(request.segments) \(query)"))
  }

  @Test(
    "Path and query are decoded part by part",
    arguments: [
      ("/", "GET / [] []"),
      ("/v1/tasks/", #"GET /v1/tasks/ ["v1", "tasks", ""] []"#),
      ("/a%2Fb/%C3%BC?", #"GET /a%2Fb/%C3%BC ["a/b", "ü"] []"#),
      ("/t?wait=30s&type=a.b&type=c", #"GET /t ["t"] ["wait=30s", "type=a.b", "type=c"]"#),
      ("/t?a+b=c%2Bd%26e&&flag&x=1=2", #"GET /t ["t"] ["a b=c+d&e", "flag=", "x=1=2"]"#),
      ("/a+b?q=%E2%82%AC", #"GET /a+b ["a+b"] ["q=€"]"#),
      ("http://localhost:7411/v1/x?y=1", #"GET /v1/x ["v1", "x"] ["y=1"]"#),
      ("/%2e%2e/x", #"GET /%2e%2e/x ["..", "x"] []"#),
    ])
  func targets(target: String, expected: String) throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    #expect(try RawClient(server.address).request("GET", target).text == expected)
  }

  @Test(
    "A target that cannot be read is refused with 400",
    arguments: [
      "/a%", "/a%2", "/a%zz", "/a%00b", "/?q=%00", "/?q=%x", "/%ff", "/?%c3", "/a b", "/a\0b", "/a\0b?c", "/a\u{1}",
      "nopath",
    ])
  func badTargets(target: String) throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    let answer = try RawClient(server.address).request("GET", target)
    #expect(answer.status == 400)
    #expect(answer.text.hasPrefix("refused: the request target"))
    #expect(try RawClient(server.address).request("GET", "/good").status == 200)
  }

  @Test("A refused target keeps the connection, its body is dropped")
  func refusedWithBody() throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    #expect(try client.request("POST", "/%", body: Array("GET / HTTP/1.1\r\n\r\n".utf8)).status == 400)
    #expect(try client.request("GET", "/good").text == #"GET /good ["good"] []"#)
  }

  @Test("Kept headers are found in any case, repeated ones are joined")
  func headers() throws {
    let server = try startServer { request, responder in
      let names = [
        "HOST", "Content-type", "authorization", "accept", "Last-Event-ID", "traceparent", "origin", "x-other",
      ]
      responder.respond(.text(names.map { request.header($0) ?? "-" }.joined(separator: "|")))
    }
    defer { server.stop(within: .seconds(5)) }
    let answer = try RawClient(server.address).request(
      "GET", "/",
      headers: ["CONTENT-TYPE: a/b", "Authorization: Bearer x", "Accept: a", "accept: b", "X-Other: 1"])
    #expect(answer.text == "localhost|a/b|Bearer x|a, b|-|-|-|-")
  }

  @Test("Two Host or Authorization headers are refused", arguments: ["Host: b", "Origin: a\r\nOrigin: b"])
  func repeatedHeader(lines: String) throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    #expect(try RawClient(server.address).request("GET", "/", headers: [lines]).status == 400)
  }

  @Test("A body whose length is said in two ways is refused, and nothing behind it is taken for a request")
  func ambiguousLength() throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let answer = try client.request(
      "POST", "/", body: Array("0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n".utf8),
      headers: ["Transfer-Encoding: chunked"])
    #expect(answer.status == 400)
    #expect(answer.headers["connection"]?.lowercased() == "close")
    #expect(throws: (any Error).self) { try client.request("GET", "/") }
  }

  @Test("A method nobody knows reaches the handler")
  func unknownMethod() throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    #expect(try client.request("FROBNICATE", "/x").text == #"FROBNICATE /x ["x"] []"#)
    #expect(try client.request("OPTIONS", "*").text == "OPTIONS * [] []")
  }

  @Test("Three hundred headers are refused with 431 and harm nobody")
  func manyHeaders() throws {
    let server = try startServer(handler: Self.describe)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let answer = try client.request("GET", "/", headers: (0..<300).map { "X-Header-\($0): value \($0)" })
    #expect(answer.status == 431)
    #expect(try RawClient(server.address).request("GET", "/good").status == 200)
  }

  @Test("A body in chunks arrives whole, however it is cut")
  func chunked() throws {
    let server = try startServer { request, responder in
      responder.respond(HTTPResponse(status: 200, contentType: "", body: request.body))
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let big = String(repeating: "x", count: 100_000)
    for _ in 0..<2 {
      try client.send(RawClient.head("POST", "/", headers: ["Transfer-Encoding: chunked"]))
      for part in ["5\r\nhe", "llo\r", "\n186a0\r\n", big, "\r\n0\r\n", "\r\n"] { try client.send(part) }
      #expect(try client.answer().text == "hello" + big)
    }
  }

  @Test("A client that expects 100 is told to go on")
  func expectContinue() throws {
    let server = try startServer(maxBody: 10) { request, responder in
      responder.respond(HTTPResponse(status: 200, contentType: "", body: request.body))
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send(RawClient.head("POST", "/", length: 5, headers: ["Expect: 100-continue"]))
    #expect(try client.answer().status == 100)
    try client.send("hello")
    #expect(try client.answer().text == "hello")
    try client.send(RawClient.head("POST", "/", length: 11, headers: ["Expect: 100-continue"]))
    #expect(try client.answer().status == 413)
  }
}

@Suite("Body limit")
struct BodyLimitTests {
  static func echoCount(_ request: HTTPRequest, _ responder: HTTPResponder) {
    responder.respond(.text("\(request.body.count)"))
  }

  @Test("An announced body over the limit is refused before it comes")
  func announced() throws {
    let server = try startServer(maxBody: 1000, handler: Self.echoCount)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    #expect(try client.request("POST", "/", body: Array(repeating: 1, count: 1000)).text == "1000")
    try client.send(RawClient.head("POST", "/", length: 1001))
    let answer = try client.answer()
    #expect(answer.status == 413)
    #expect(answer.text == "refused: the body is larger than 1000 bytes; send less")
    client.closeSendingHalf()
    try client.expectClosed()
  }

  @Test("A client that sends 100 MB without asking still sees the refusal")
  func hugeBody() throws {
    let server = try startServer(maxBody: 1000, handler: Self.echoCount)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    let part = [UInt8](repeating: 0x61, count: 1 << 20)
    try client.send(RawClient.head("POST", "/", length: 100 << 20))
    for _ in 0..<100 { try client.send(part) }
    #expect(try client.answer().status == 413)
  }

  @Test("A chunked body over the limit is counted, dropped and refused; the connection goes on")
  func chunkedOverLimit() throws {
    let server = try startServer(maxBody: 1000, handler: Self.echoCount)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send(RawClient.head("POST", "/", headers: ["Transfer-Encoding: chunked"]))
    for _ in 0..<1001 { try client.send("a\r\n0123456789\r\n") }
    try client.send("0\r\n\r\n")
    #expect(try client.answer().status == 413)
    #expect(try client.request("POST", "/", body: Array("ab".utf8)).text == "2")
  }

  @Test("A chunked body without end is cut off")
  func chunkedWithoutEnd() throws {
    let server = try startServer(maxBody: 1000, handler: Self.echoCount)
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send(RawClient.head("POST", "/", headers: ["Transfer-Encoding: chunked"]))
    let chunk = Array("100000\r\n".utf8) + [UInt8](repeating: 0x61, count: 1 << 20) + Array("\r\n".utf8)
    #expect(throws: ClientError.self) {
      for _ in 0..<600 { try client.send(chunk) }
    }
  }
}
