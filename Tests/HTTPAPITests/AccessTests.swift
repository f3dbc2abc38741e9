// SPDX-License-Identifier: Apache-2.0
import HTTPAPI
import HTTPServer
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Who may call")
struct AccessTests {
  @Test("Hosts other than loopback, the listen address and http.hosts are refused")
  func hosts() async throws {
    let api = try await APIFixture.make(hosts: ["roost.example", "2001:db8::1", "10.0.0.7"])
    let port = api.server.address.port
    let cases: [(String, Int)] = [
      ("localhost", 200), ("localhost:\(port)", 200), ("LocalHost:1", 200), ("127.0.0.1", 200),
      ("127.0.0.1:\(port)", 200),
      ("127.9.9.9:80", 200), ("[::1]", 200), ("[::1]:\(port)", 200), ("[0:0:0:0:0:0:0:1]:5", 200),
      ("roost.example", 200), ("Roost.Example:443", 200), ("[2001:DB8:0::1]:80", 200), ("10.0.0.7:7411", 200),
      ("evil.example", 403), ("evil.example:\(port)", 403), ("localhost.evil.example", 403),
      ("127.0.0.1.evil.example", 403),
      ("roost.example.evil", 403), ("128.0.0.1", 403), ("127.1", 403), ("2130706433", 403), ("[::2]", 403),
      ("::1", 403),
      ("[::1", 403), ("[localhost]", 403), ("localhost:x", 403), ("localhost:99999", 403), ("user@localhost", 403),
      ("localhost evil", 403), ("localhost, evil.example", 403), ("", 403),
    ]
    for (host, status) in cases {
      for path in ["/healthz", "/v1/types"] {
        let answer = try await api.request("GET", path, headers: ["Host: \(host)"])
        #expect(answer.status == status, "Host: \(host)")
        if status == 403 { #expect(answer.code == "forbidden", "Host: \(host)") }
      }
    }
  }

  @Test(
    "A request without Host, or with two, is refused",
    arguments: [("", 403, "forbidden"), ("Host: localhost\r\nHost: localhost\r\n", 400, "bad_request")])
  func noHost(headers: String, status: Int, code: String) async throws {
    let api = try await APIFixture.make()
    let address = api.server.address
    let answer = try await offPool {
      let client = try Client(address)
      try client.send(bytes("GET /healthz HTTP/1.1\r\n\(headers)\r\n"))
      return try client.answer()
    }
    #expect(answer.status == status)
    #expect(answer.code == code)
  }

  @Test("Origins other than the API's own and http.cors are refused, whatever they ask for")
  func origins() async throws {
    let api = try await APIFixture.make(
      cors: ["https://app.example", "http://localhost:3000"], hosts: ["roost.example"])
    let cases: [(origin: String, host: String, status: Int, isTold: Bool)] = [
      ("http://127.0.0.1:7411", "127.0.0.1:7411", 200, false), ("http://localhost:7411", "LOCALHOST:7411", 200, false),
      ("http://roost.example", "roost.example", 200, false), ("http://roost.example", "roost.example:80", 200, false),
      ("https://roost.example", "roost.example", 200, false), ("http://[::1]:7411", "[::1]:7411", 200, false),
      ("https://app.example", "localhost", 200, true), ("http://localhost:3000", "localhost:7411", 200, true),
      ("https://evil.example", "localhost", 403, false), ("http://app.example", "localhost", 403, false),
      ("https://app.example:444", "localhost", 403, false), ("https://app.example.evil", "localhost", 403, false),
      ("http://localhost:3001", "localhost:7411", 403, false), ("http://localhost", "localhost:7411", 403, false),
      ("http://127.0.0.1:7411", "localhost:7411", 403, false), ("null", "localhost", 403, false),
      ("", "localhost", 403, false),
      ("file://", "localhost", 403, false), ("https://evil.example", "evil.example", 403, false),
    ]
    for (origin, host, status, isTold) in cases {
      for (method, path) in [
        ("GET", "/healthz"), ("GET", "/v1/tasks"), ("OPTIONS", "/v1/tasks"), ("POST", "/v1/tasks/status"),
      ] {
        let body = method == "POST" ? bytes(#"{"ids":[]}"#) : nil
        let answer = try await api.request(method, path, headers: ["Host: \(host)", "Origin: \(origin)"], body: body)
        let expected = status == 200 && method == "OPTIONS" ? 204 : status
        #expect(answer.status == expected, "\(method) \(origin) at \(host)")
        #expect(
          answer.headers["access-control-allow-origin"] == (isTold ? origin : nil), "\(method) \(origin) at \(host)")
        if status == 403 { #expect(answer.code == "forbidden") }
        #expect(answer.headers["vary"] == "Origin")
      }
    }
  }

  @Test("A page of an allowed origin learns what it may send, and may read problems too")
  func preflight() async throws {
    let api = try await APIFixture.make(cors: ["https://app.example"])
    let headers = [
      "Origin: https://app.example", "Access-Control-Request-Method: PUT",
      "Access-Control-Request-Headers: content-type",
    ]
    let answer = try await api.request("OPTIONS", "/v1/tasks/x/result", headers: headers)
    #expect(answer.status == 204)
    #expect(answer.headers["access-control-allow-methods"] == "GET, HEAD, PUT, OPTIONS")
    #expect(answer.headers["access-control-allow-headers"]?.contains("Content-Type") == true)
    #expect(answer.headers["access-control-allow-origin"] == "https://app.example")
    let problem = try await api.request("GET", "/v1/nothing", headers: ["Origin: https://app.example"])
    #expect(problem.status == 404)
    #expect(problem.headers["access-control-allow-origin"] == "https://app.example")
    let own = try await api.request("OPTIONS", "/v1/tasks")
    #expect(own.status == 204)
    #expect(own.headers["allow"] == "POST, GET, HEAD, OPTIONS")
    #expect(own.headers["access-control-allow-methods"] == nil)
  }
}
