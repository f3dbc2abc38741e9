// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPServer
import Synchronization
import Threading
import TestSupport
import Testing

@Suite("Clients that go")
struct GoneClientTests {
  @Test("A handler hears that its client has gone; answering afterwards is harmless")
  func gone() throws {
    let responders = Lock<[HTTPResponder]>([])
    let gone = Shared(0)
    let server = try startServer { request, responder in
      if request.path == "/now" { return responder.respond(.text("now")) }
      responder.onGone { gone.now += 1 }
      responders.withLock { $0.append(responder) }
    }
    defer { server.stop(within: .seconds(5)) }
    var clients = try (0..<100).map { _ in
      let client = try RawClient(server.address)
      try client.send(RawClient.head("GET", "/wait"))
      return client
    }
    try eventually("all are parked") { responders.withLock { $0.count } == 100 }
    #expect(gone.now == 0)
    clients.removeFirst(60)
    try eventually("60 have gone") { gone.now == 60 }
    for responder in responders.withLock({ $0 }) { responder.respond(.text("late")) }
    for client in clients { #expect(try client.answer().text == "late") }
    #expect(try RawClient(server.address).request("GET", "/now").text == "now")
    #expect(gone.now == 60)
  }

  @Test("A client that resets while nobody listens for it frees its request")
  func reset() throws {
    let lot = ParkingLot()
    let server = try startServer { lot.park($0, $1) }
    defer { server.stop(within: .seconds(5)) }
    do {
      let client = try RawClient(server.address)
      try client.send(RawClient.head("GET", "/"))
      try eventually("it is parked") { lot.count == 1 }
      var reset = linger(l_onoff: 1, l_linger: 0)
      setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
    }
    let isTold = Shared(false)
    try eventually("a late listener is told at once") {
      lot.forEach { $0.onGone { isTold.now = true } }
      return isTold.now
    }
    lot.answerAll { _ in .text("nobody") }
  }

  @Test("A client that only stopped sending still gets its answer")
  func halfClosed() throws {
    let lot = ParkingLot()
    let server = try startServer { request, responder in
      if request.path == "/listening" { responder.onGone { responder.respond(.text("early")) } }
      lot.park(request, responder)
    }
    defer { server.stop(within: .seconds(5)) }
    let listening = try RawClient(server.address)
    try listening.send(RawClient.head("GET", "/listening"))
    let early = try RawClient(server.address)
    try early.send(RawClient.head("GET", "/plain"))
    early.closeSendingHalf()
    let plain = try RawClient(server.address)
    try plain.send(RawClient.head("GET", "/plain"))
    try eventually("all are parked") { lot.count == 3 }
    listening.closeSendingHalf()
    plain.closeSendingHalf()
    #expect(try listening.answer().text == "early")
    lot.answerAll { _ in .text("late") }
    #expect(try plain.answer().text == "late")
    #expect(try early.answer().text == "late")
  }
}

@Suite("Slow clients")
struct SlowClientTests {
  static let short = HTTPTimeouts(request: .seconds(1), idle: .seconds(1), answer: .seconds(1))

  @Test(
    "A client that sends a byte now and then is cut off",
    arguments: [
      "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n",
    ])
  func trickle(beginning: String) throws {
    let server = try startServer(timeouts: Self.short) { _, responder in responder.respond(.text("done")) }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send(beginning)
    try eventually("the connection is closed") {
      try? client.send("x")
      return client.isClosed()
    }
  }

  @Test("A silent connection and an idle one are closed")
  func idle() throws {
    let server = try startServer(timeouts: Self.short) { _, responder in responder.respond(.text("done")) }
    defer { server.stop(within: .seconds(5)) }
    let silent = try RawClient(server.address)
    let idle = try RawClient(server.address)
    #expect(try idle.request("GET", "/").text == "done")
    try silent.expectClosed()
    try idle.expectClosed()
  }

  @Test("A client that does not take its answer is cut off")
  func slowReader() throws {
    let isAnswered = Shared(false)
    var timeouts = Self.short
    timeouts.answerBytesPerSecond = 1 << 30
    let server = try startServer(timeouts: timeouts) { _, responder in
      responder.respond(HTTPResponse(status: 200, contentType: "", body: Array(repeating: 1, count: 64 << 20)))
      isAnswered.now = true
    }
    defer { server.stop(within: .seconds(5)) }
    let client = try RawClient(server.address)
    try client.send(RawClient.head("GET", "/"))
    try eventually("it is being answered") { isAnswered.now }
    // Ends within the limit only if the server goes first: until then the rest of the answer waits for us.
    try eventually("the server has closed") { client.peerHasClosed() }
    #expect(throws: ClientError.self) { try client.answer() }
  }

  @Test("A parked request may wait longer than any deadline")
  func parkedOutlivesDeadlines() throws {
    let lot = ParkingLot()
    let server = try startServer(timeouts: Self.short) { lot.park($0, $1) }
    defer { server.stop(within: .seconds(5)) }
    let parked = try RawClient(server.address)
    try parked.send(RawClient.head("GET", "/"))
    try eventually("it is parked") { lot.count == 1 }
    try RawClient(server.address).expectClosed()
    try RawClient(server.address).expectClosed()
    #expect(lot.answerAll { _ in .text("at last") } == 1)
    #expect(try parked.answer().text == "at last")
  }
}
