// SPDX-License-Identifier: Apache-2.0
import Redis
import TestSupport
import Testing

@Suite("A connection to Redis")
struct ConnectionTests {
  private let server: RedisServer
  private let connection: RedisConnection

  init() throws {
    server = try RedisServer()
    connection = try RedisConnection(to: server.address, timeout: .seconds(10))
  }

  @Test(
    "An argument arrives as it is, however long it is and however it is written",
    arguments: [0, 1, 9, 10, 32, 43, 99, 100, 101, 200, 999, 1000, 1001, 1114, 10_000, 123_456])
  func arguments(_ length: Int) throws {
    let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
    for expected in [0, 32, 200, 1000] {
      var command = RedisCommand(words: "ECHO")
      command.add(expecting: expected) { $0.append(contentsOf: bytes) }
      #expect(try connection.call(command) == .bulk(bytes))
    }
    var command = RedisCommand("ECHO")
    command.add(bytes)
    #expect(try connection.call(command) == .bulk(bytes))
  }

  @Test("Answers inside answers, and one after the other, come as Redis sends them")
  func answers() throws {
    let script = "return {1, {}, {'a', {redis.status_reply('fine'), false}}, redis.error_reply('X wrong'), 'b'}"
    let nested = RedisReply.array([
      .integer(1), .array([]), .array([.bulk(Array("a".utf8)), .array([.status("fine"), .null])]), .error("X wrong"),
      .bulk(Array("b".utf8)),
    ])
    for _ in 0..<3 {
      connection.append(RedisCommand(words: "PING"))
      connection.append(RedisCommand(words: "EVAL", script, "0"))
      connection.append(RedisCommand(words: "NOSUCH"))
    }
    for _ in 0..<3 {
      #expect(try connection.reply() == .status("PONG"))
      #expect(try connection.reply() == nested)
      guard case .error = try connection.reply() else {
        Issue.record("a command that is none was answered")
        return
      }
    }
  }
}
