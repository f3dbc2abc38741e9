// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPServer
import Synchronization
import TestSupport
import Testing

@Suite("Listening")
struct ListeningTests {
  @Test(
    "Addresses are read and written",
    arguments: [
      ("127.0.0.1:7411", "127.0.0.1", 7411), ("[::1]:7411", "::1", 7411), ("localhost:0", "localhost", 0),
      ("0.0.0.0:65535", "0.0.0.0", 65535),
    ])
  func addresses(text: String, host: String, port: Int) throws {
    let address = try #require(HTTPAddress(text))
    #expect(address == HTTPAddress(host: host, port: UInt16(port)))
    #expect(address.description == text)
  }

  @Test(
    "What is no address is refused",
    arguments: ["", "7411", ":7411", "a:", "a:65536", "a:-1", "::1:7411", "[::1]", "[a]:1", "a b:1", "a:1 "])
  func noAddresses(text: String) {
    #expect(HTTPAddress(text) == nil)
  }

  @Test("Port 0 becomes a free port; IPv6 and names work", arguments: ["127.0.0.1", "::1", "localhost"])
  func anyPort(host: String) throws {
    let server = try startServer(on: host) { _, responder in responder.respond(.text("here")) }
    defer { server.stop(within: .seconds(5)) }
    #expect(server.address.host == host)
    #expect(server.address.port != 0)
    #expect(try RawClient(server.address).request("GET", "/").text == "here")
  }

  @Test("A taken port is named, with what to do")
  func taken() throws {
    let server = try startServer { _, responder in responder.respond(.text("first")) }
    defer { server.stop(within: .seconds(5)) }
    let error = try #require(failure(to: server.address))
    #expect(error == .addressInUse(server.address))
    #expect(error.description.contains("127.0.0.1:\(server.address.port): the port is taken; end what listens there"))
    #expect(try RawClient(server.address).request("GET", "/").text == "first")
  }

  @Test("Hosts that are unknown or elsewhere are named")
  func unusable() throws {
    let elsewhere = HTTPAddress(host: "192.0.2.1", port: 7411)
    #expect(failure(to: elsewhere) == .addressNotHere(elsewhere))
    let unknown = HTTPAddress(host: "no-such-host.invalid", port: 7411)
    #expect(failure(to: unknown)?.description.hasPrefix("cannot listen on no-such-host.invalid:7411") == true)
  }

  private func failure(to address: HTTPAddress) -> HTTPServerError? {
    do throws(HTTPServerError) {
      let server = try HTTPServer(listen: address, maxBody: 1, problem: { .text($0.reason) }, handler: { _, _ in })
      server.stop(within: .zero)
      return nil
    } catch {
      return error
    }
  }

  @Test("The same port can be had again at once, with clients of the last server still there")
  func restart() throws {
    let first = try startServer { _, responder in responder.respond(.text("first")) }
    let client = try RawClient(first.address)
    #expect(try client.request("GET", "/").text == "first")
    first.stop(within: .zero)
    let second = try HTTPServer(listen: first.address, maxBody: 1, problem: { .text($0.reason) }) { _, responder in
      responder.respond(.text("second"))
    }
    defer { second.stop(within: .seconds(5)) }
    #expect(try RawClient(second.address).request("GET", "/").text == "second")
    try client.expectClosed()
  }
}

@Suite("Stopping")
struct StoppingTests {
  @Test("Requests under way are answered, new connections are refused")
  func graceful() throws {
    let lot = ParkingLot()
    let server = try startServer { lot.park($0, $1) }
    let client = try RawClient(server.address)
    try client.send(RawClient.head("GET", "/parked"))
    let idle = try RawClient(server.address)
    try idle.send(RawClient.head("GET", "/first"))
    try eventually("both are parked") { lot.count == 2 }
    let isStopped = Shared(false)
    let stopped = DispatchSemaphore(value: 0)
    Thread {
      server.stop(within: .seconds(60))
      isStopped.now = true
      stopped.signal()
    }.start()
    try eventually("new connections are refused") { (try? RawClient(server.address)) == nil }
    #expect(!isStopped.now)
    lot.answerAll { .text($0.path) }
    let answer = try client.answer()
    #expect(answer.text == "/parked")
    #expect(answer.headers["connection"]?.lowercased() == "close")
    try client.expectClosed()
    #expect(try idle.answer().text == "/first")
    stopped.wait()
  }

  @Test("What is not answered in time is closed and told so")
  func overdue() throws {
    let lot = ParkingLot()
    let gone = Shared(0)
    let server = try startServer { request, responder in
      responder.onGone { gone.now += 1 }
      lot.park(request, responder)
    }
    let clients = try (0..<10).map { _ in
      let client = try RawClient(server.address)
      try client.send(RawClient.head("GET", "/"))
      return client
    }
    let unfinished = try RawClient(server.address)
    try unfinished.send("POST / HTTP/1.1\r\n")
    try eventually("all are parked") { lot.count == 10 }
    server.stop(within: .milliseconds(100))
    #expect(gone.now == 10)
    for client in clients + [unfinished] { try client.expectClosed() }
    lot.answerAll { _ in .text("too late") }
    server.stop(within: .seconds(1))
  }

  @Test("A server nobody holds any more stops")
  func released() throws {
    var server: HTTPServer? = try startServer { _, responder in responder.respond(.text("here")) }
    let address = try #require(server?.address)
    #expect(try RawClient(address).request("GET", "/").text == "here")
    server = nil
    #expect(throws: ClientError.self) { try RawClient(address) }
  }

  @Test("A handler may stop its own server; its answer still goes out")
  func stoppedByHandler() throws {
    let held = Shared<HTTPServer?>(nil)
    let server = try startServer { _, responder in
      held.now?.stop(within: .seconds(60))
      responder.respond(.text("bye"))
    }
    held.now = server
    defer { held.now = nil }
    let client = try RawClient(server.address)
    #expect(try client.request("GET", "/").text == "bye")
    try client.expectClosed()
    server.stop(within: .seconds(5))
    #expect(throws: ClientError.self) { try RawClient(server.address) }
  }

  @Test("Answers race with the stop without harm")
  func race() throws {
    for _ in 0..<20 {
      let answerer = Answerer { .text($0.path) }
      let server = try startServer { answerer.lot.park($0, $1) }
      let isStopped = Shared(false)
      let clients = DispatchGroup()
      for _ in 0..<4 {
        clients.enter()
        Thread {
          while !isStopped.now, let client = try? RawClient(server.address) {
            while (try? client.request("GET", "/")) != nil {}
          }
          clients.leave()
        }.start()
      }
      try eventually("requests come") { answerer.lot.count > 0 }
      server.stop(within: .zero)
      isStopped.now = true
      clients.wait()
      answerer.end()
    }
  }
}
