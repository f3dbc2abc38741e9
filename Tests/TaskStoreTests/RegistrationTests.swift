// SPDX-License-Identifier: Apache-2.0
import Glibc
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

@Suite("Hosts and the Redis they find")
struct RegistrationTests {
  private func refusal(_ address: RedisAddress, prefix: String = "roost") throws -> String {
    let store = TaskStore(address: address, prefix: prefix, name: "test")
    store.start(types: [StoreFixture.type])
    defer { store.close() }
    try eventually("it is refused") { store.refusal != nil }
    #expect(!store.isConnected)
    return try #require(store.refusal)
  }

  @Test("A host that was forgotten makes itself known again under a new id, and submits at once")
  func forgotten() async throws {
    let fixture = try StoreFixture()
    let first = fixture.store.hostID
    #expect(try fixture.housekeeping().reap(first))
    #expect(try fixture.housekeeping().beat(host: first, types: ["work"], workers: []).isKnown == false)
    let id = try await fixture.submit()
    #expect(fixture.store.hostID != first)
    #expect(try await fixture.store.getStatus(id) == .pending)
    // Also when only the heartbeat noticed.
    let second = fixture.store.hostID
    try fixture.housekeeping().reap(second)
    fixture.store.registerAgain()
    try eventually("it is known again") { fixture.store.hostID != second && fixture.store.isConnected }
    #expect(try fixture.housekeeping().beat(host: fixture.store.hostID, types: ["work"], workers: []).isKnown)
    #expect(try fixture.keyspace().everything["submits"]?.parts.count == 1)
  }

  @Test("Records of a Redis that lost its data name what ran them, not what had that number before")
  func forgottenOrigins() async throws {
    let fixture = try StoreFixture()
    func origin(of given: TaskRecord.Origin) async throws -> TaskRecord.Origin? {
      let session = try WorkerSession(
        to: fixture.address, keys: fixture.store.keys, worker: RandomID.make(), epoch: 1, clock: fixture.store.clock)
      #expect(try session.hello(lastBatch: 0, held: [], origins: [given]) == [1])
      let id = try await fixture.submit()
      let task = try #require(try session.take(1).first)
      _ = try session.write([task.write(.completed(result: Array("1".utf8)))], emptied: [1])
      return try await fixture.store.record(id)?.origin
    }
    let other = TaskRecord.Origin(worker: "test/other/1", plugin: "other", version: "2.0.0", build: "sha256:01")
    #expect(try await origin(of: StoreFixture.origin)?.build == StoreFixture.origin.build)
    try fixture.command("FLUSHALL")
    #expect(try await origin(of: other)?.build == other.build)
  }

  @Test("A host whose removal stopped half-way makes itself known again, too")
  func halfForgotten() async throws {
    let fixture = try StoreFixture()
    let first = fixture.store.hostID
    try fixture.command("HDEL", fixture.store.keys.hosts, first)
    fixture.store.registerAgain()
    try eventually("it is known again") { fixture.store.hostID != first && fixture.store.isConnected }
    _ = try await fixture.submit()
  }

  @Test("However many ask for types that are not known, few readings of the types answer them")
  func manyUnknown() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    _ = proxy.takeLog()
    let refused = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<500 {
        group.addTask {
          do {
            _ = try await fixture.submit(type: "nobody\(number % 3)")
            return false
          } catch { return error as? TaskStoreError == .unknownType("nobody\(number % 3)") }
        }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(refused == 500)
    let readings = proxy.takeLog().requests.count { $0.name == "HGETALL" }
    #expect(readings < 100, "\(readings)")
  }

  @Test("Other hosts' types can be submitted to, and are parked when the host has gone")
  func otherHosts() async throws {
    let fixture = try StoreFixture()
    let other = TaskStore(address: fixture.address, prefix: "roost", name: "other")
    other.start(types: [StoreFixture.telling])
    try eventually("the other host is connected") { other.isConnected }
    let id = try await fixture.submit(type: "telling")
    #expect(try await fixture.store.getStatus(id) == .pending)
    #expect(fixture.store.definition(of: "telling") == StoreFixture.telling)
    #expect(fixture.store.isParked("telling") == false)
    let host = other.hostID
    other.close()
    try fixture.housekeeping().reap(host)
    fixture.store.refreshTypes()
    try eventually("the type is parked") { fixture.store.isParked("telling") }
    #expect(fixture.store.knownTypes.map(\.name) == ["telling", "work"])
    _ = try await fixture.submit(type: "telling")
  }

  @Test("Tasks that a newer Roost wrote are left alone")
  func newerFormat() throws {
    let redis = try RedisServer()
    try redis.cli("set", "roost:{00}:format", "2")
    let text = try refusal(redis.address)
    #expect(text.contains("newer Roost"), "\(text)")
    #expect(try redis.keys() == ["roost:{00}:format"])
  }

  @Test("A wrong, a missing and an unasked-for password are told apart from an outage")
  func passwords() throws {
    let redis = try RedisServer()
    try redis.cli("config", "set", "requirepass", "secret")
    var address = redis.address
    address.password = "wrong"
    #expect(try refusal(address).contains("password"))
    address.password = nil
    #expect(try refusal(address).contains("password"))
    address.password = "secret"
    let store = TaskStore(address: address, prefix: "roost", name: "test")
    store.start(types: [])
    defer { store.close() }
    try eventually("the store is connected") { store.isConnected }
  }

  @Test("A refusal ends when its reason does")
  func refusalEnds() throws {
    let redis = try RedisServer()
    try redis.cli("set", "roost:{00}:format", "2")
    let store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    store.start(types: [])
    defer { store.close() }
    try eventually("it is refused") { store.refusal != nil }
    try redis.cli("del", "roost:{00}:format")
    try eventually("the store is connected") { store.isConnected }
    #expect(store.refusal == nil)
  }

  @Test("A Redis that is too old is named with its version", arguments: ["6.2.14", "5.0.7", "2.8"])
  func tooOld(version: String) throws {
    let server = try FakeServer(info: "# Server\r\nredis_version:\(version)\r\nredis_mode:standalone\r\n")
    let text = try refusal(server.address)
    #expect(text.contains("its version is \(version)"), "\(text)")
    #expect(text.contains("7.0"))
  }

  @Test("Nobody there is an outage, not a refusal")
  func nobody() async throws {
    let directory = try TemporaryDirectory()
    let address = RedisAddress(endpoint: .unix(path: directory.path + "/none.sock"))
    let store = TaskStore(address: address, prefix: "roost", name: "test")
    store.start(types: [StoreFixture.type])
    defer { store.close() }
    do {
      _ = try await store.submit(Submission(type: "work", params: .one))
      Issue.record("it went well")
    } catch .unavailable(let reason) { #expect(reason.contains("none.sock")) } catch { Issue.record("\(error)") }
    #expect(store.refusal == nil)
  }
}

/// Answers every command with the same INFO.
private final class FakeServer: Sendable {
  let address: RedisAddress
  private let directory: TemporaryDirectory
  private let listener: Int32

  init(info: String) throws {
    directory = try TemporaryDirectory()
    let path = directory.path + "/fake.sock"
    address = RedisAddress(endpoint: .unix(path: path))
    listener = try listenOnSocket(path)
    let descriptor = listener
    let answer = Array("$\(info.utf8.count)\r\n\(info)\r\n".utf8)
    NativeThread(name: "fake") {
      while true {
        let client = accept(descriptor, nil, nil)
        guard client >= 0 else { return }
        var request: [UInt8] = []
        if RawRedis.fill(&request, from: client) { _ = RawRedis.send(answer, to: client) }
        while RawRedis.fill(&request, from: client) {}
        close(client)
      }
    }.detach()
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }
}
