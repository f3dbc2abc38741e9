// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("Redis addresses")
struct RedisAddressTests {
  @Test(
    "Addresses are read with their defaults and percent-decoded",
    arguments: [
      ("redis://h", RedisAddress(endpoint: .tcp(host: "h", port: 6379))),
      ("REDIS://h:1/", RedisAddress(endpoint: .tcp(host: "h", port: 1))),
      ("redis://127.0.0.1:6380/15", RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: 6380), database: 15)),
      ("redis://[::1]/2", RedisAddress(endpoint: .tcp(host: "::1", port: 6379), database: 2)),
      ("redis://[fe80::1]:7", RedisAddress(endpoint: .tcp(host: "fe80::1", port: 7))),
      ("redis://:pw@h", RedisAddress(endpoint: .tcp(host: "h", port: 6379), password: "pw")),
      (
        "redis://us%20er:p%40%3a%2F%25@h:1/0",
        RedisAddress(endpoint: .tcp(host: "h", port: 1), user: "us er", password: "p@:/%")
      ),
      ("redis://u:a@b:c@h", RedisAddress(endpoint: .tcp(host: "h", port: 6379), user: "u", password: "a@b:c")),
      ("unix:///run/redis.sock", RedisAddress(endpoint: .unix(path: "/run/redis.sock"))),
      ("unix:///a%20b?db=3", RedisAddress(endpoint: .unix(path: "/a b"), database: 3)),
      ("unix://u:p@/s?db=0", RedisAddress(endpoint: .unix(path: "/s"), user: "u", password: "p")),
    ])
  func read(_ text: String, _ address: RedisAddress) throws {
    #expect(try RedisAddress(text) == address)
  }

  @Test(
    "What is no address is refused for its reason",
    arguments: [
      ("", .unknownScheme(nil)), ("localhost:6379", .unknownScheme(nil)), ("http://h", .unknownScheme("http")),
      ("rediss://h", .transportSecurity), ("redis://", .noHost), ("redis://:1", .noHost), ("redis:///0", .noHost),
      ("redis://::1", .noHost), ("redis://[::1", .noHost), ("redis://[::1]x", .noHost), ("redis://[]", .noHost),
      ("redis://h:", .badPort), ("redis://h:0", .badPort), ("redis://h:65536", .badPort), ("redis://h:x", .badPort),
      ("redis://h/x", .badDatabase), ("redis://h/-1", .badDatabase), ("redis://h/0/1", .badDatabase),
      ("redis://h/99999999999", .badDatabase), ("redis://h?db=1", .unknownQuery), ("redis://h/0?x=1", .unknownQuery),
      ("redis://user@h", .noPassword), ("redis://:@h", .noPassword), ("redis://u:%4@h", .badEscape),
      ("redis://u:%zz@h", .badEscape), ("redis://u:%ff@h", .badEscape), ("redis://u:%+1@h", .badEscape),
      ("unix://", .noPath), ("unix:///", .noPath), ("unix://host/path", .noPath), ("unix:///a%00b", .noPath),
      ("unix:///s?db=", .badDatabase), ("unix:///s?db=x", .badDatabase), ("unix:///s?x=1", .unknownQuery),
    ] as [(String, RedisAddressError)])
  func refused(_ text: String, _ error: RedisAddressError) {
    #expect(throws: error) { try RedisAddress(text) }
  }

  @Test(
    "No way of printing an address shows its password",
    arguments: [
      ("redis://user:hunter2@h/1", "redis://user@h:6379/1"), ("redis://:hunter2@[::1]:1", "redis://[::1]:1/0"),
      ("unix://u:hunter2@/s?db=2", "unix://u@/s?db=2"),
    ])
  func passwordStaysHidden(_ text: String, _ expected: String) throws {
    let address = try RedisAddress(text)
    #expect(address.description == expected)
    var dumped = ""
    dump(address, to: &dumped)
    for print in ["\(address)", String(reflecting: address), dumped, "\([address])", "\(Optional(address) as Any)"] {
      #expect(!print.contains("hunter2"))
    }
  }
}
