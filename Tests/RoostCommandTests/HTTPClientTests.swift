// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import Testing

@Suite("The HTTP client")
struct HTTPClientTests {
  @Test("A reply has status, headers and body; a request its method, headers and body")
  func exchange() throws {
    let host = try CannedHost { (299, "é\($0.body)") }
    let client = try HTTPClient(host.url, token: "secret")
    let reply = try client.send("PUT", "/a?b=c", body: Array("body".utf8), headers: [("X-More", "yes")])
    #expect(reply.status == 299)
    #expect(reply.text == "ébody")
    #expect(reply.header("x-canned") == "yes")
    #expect(reply.header("none") == nil)
    let request = try #require(host.requests.first)
    #expect(request.method == "PUT" && request.path == "/a?b=c" && request.body == "body")
    #expect(request.headers["x-more"] == "yes")
    #expect(request.headers["authorization"] == "Bearer secret")
    #expect(request.headers["content-type"] == "application/json")
  }

  @Test("Options of one request do not leak into the next")
  func handleIsClean() throws {
    let host = try CannedHost { (200, $0.method) }
    let client = try HTTPClient(host.url)
    #expect(try client.send("POST", "/", body: [1, 2]).text == "POST")
    #expect(try client.send("GET", "/").text == "GET")
    #expect(try client.send("DELETE", "/").text == "DELETE")
    #expect(try client.send("POST", "/").text == "POST")
    #expect(host.requests.map { $0.headers["content-length"] } == ["2", nil, nil, "0"])
    #expect(host.requests.map(\.body.utf8.count) == [2, 0, 0, 0])
  }

  @Test("Megabytes go both ways")
  func large() throws {
    let host = try CannedHost { (200, $0.body) }
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: 5 << 20)
    #expect(try HTTPClient(host.url).send("POST", "/", body: body).body == body)
  }

  @Test("Errors say whether the request can have been carried out")
  func errors() throws {
    let port = ClosedPort()
    #expect(throws: HTTPClientError.unreachable(url: port.url, reason: "Connection refused")) {
      try HTTPClient(port.url).send("GET", "/")
    }
    for text in ["", "127.0.0.1:1", "ftp://a", "http://a b"] {
      #expect(throws: HTTPClientError.badURL(text)) { try HTTPClient(text) }
    }
    let stuck = DispatchSemaphore(value: 0)
    let host = try CannedHost { _ in
      stuck.wait()
      return (200, "")
    }
    #expect(throws: HTTPClientError.timedOut(url: host.url, after: .milliseconds(200))) {
      try HTTPClient(host.url).send("GET", "/", timeout: .milliseconds(200))
    }
    stuck.signal()
  }
}
