// SPDX-License-Identifier: Apache-2.0
import Config
import Foundation
import TestSupport
import Testing

@testable import TaskHost

@Suite("What the machine lets workers have")
struct MachineTests {
  let folder: TemporaryDirectory

  init() throws {
    folder = try TemporaryDirectory()
  }

  private func issues(_ machine: Machine, _ worker: String, redis: String = #""url": "redis://h""#) throws -> [String] {
    let text = #"{"plugins": {}, "types": {}, "redis": {\#(redis)}, "workers": {"w": {\#(worker)}}}"#
    let config = try Config.parse(Array(text.utf8), file: "c", directory: "/", environment: [:])
    return machine.issues(of: config).map { "\($0.path): \($0.message)" }
  }

  @Test("A user needs a host that is root, a name that there is, and a Redis that it can reach")
  func user() throws {
    let able = Machine(uid: nil, hasUser: { $0 == "alice" }, cpuObstacle: nil)
    #expect(try issues(able, #""user": "alice""#) == [])
    #expect(try issues(able, "", redis: "") == [])
    #expect(
      try issues(able, #""user": "bob""#) == [
        "workers.w.user: there is no user of that name; make it with useradd, or correct the name"
      ])
    #expect(
      try issues(able, #""user": "alice""#, redis: "") == [
        "workers.w.user: the socket of the embedded Redis is for the host's user alone; use a Redis that the worker can "
          + "reach, with redis.url"
      ])
    let plain = Machine(uid: 1000, hasUser: { _ in nil }, cpuObstacle: nil)
    #expect(
      try issues(plain, #""user": "alice""#) == [
        "workers.w.user: needs a host that runs as root; this one runs as uid 1000",
        "workers.w.user: users cannot be looked up; see /etc/nsswitch.conf",
      ])
  }

  @Test("Users of this machine are found")
  func ownUsers() throws {
    #expect(Machine.own.hasUser("root") == true)
    #expect(Machine.own.hasUser("nobody-has-this-name") == false)
    #expect(Machine.own.uid == (geteuid() == 0 ? nil : geteuid()))
  }

  @Test("A limit of processors is refused with what is missing")
  func cpu() throws {
    let unable = Machine(uid: nil, hasUser: { _ in true }, cpuObstacle: "it is old")
    #expect(try issues(unable, #""cpu": 1.5"#) == ["workers.w.cpu: cannot be limited here: it is old; leave it out"])
    #expect(try issues(unable, #""memory": "1GiB""#) == [])
    #expect(try issues(Machine(uid: nil, hasUser: { _ in true }, cpuObstacle: nil), #""cpu": 1.5"#) == [])
  }

  @Test("A control group that this process may divide is recognised")
  func controlGroup() throws {
    let mount = folder.path
    let group = mount + "/a.slice/roost.service"
    func obstacle(_ membership: String) -> String? { Machine.cpuObstacle(membership: membership, mount: mount) }
    #expect(obstacle("") == "the kernel has no control groups of version 2 (cgroup v2)")
    #expect(obstacle("4:memory:/x\n1:cpu:/y\n") == "the kernel has no control groups of version 2 (cgroup v2)")
    let here = "1:name=systemd:/z\n0::/a.slice/roost.service\n"
    #expect(obstacle(here) == "there are no control groups of version 2 (cgroup v2) at \(group)")
    try FileManager.default.createDirectory(atPath: group, withIntermediateDirectories: true)
    try folder.write("a.slice/roost.service/cgroup.controllers", "cpuset memory pids\n")
    #expect(
      obstacle(here)
        == "the cpu controller is not delegated to the host's control group \(group) (under systemd: Delegate=cpu)")
    try folder.write("a.slice/roost.service/cgroup.controllers", "cpuset cpu memory pids\n")
    #expect(obstacle(here) == nil)
    #expect(obstacle("0::/\n") == "there are no control groups of version 2 (cgroup v2) at \(mount)")
    try folder.write("cgroup.controllers", "cpu")
    #expect(obstacle("0::/\n") == nil)
  }

  @Test("What there is on this machine is told, not guessed")
  func ownControlGroup() throws {
    let membership = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
    #expect(Machine.own.cpuObstacle == Machine.cpuObstacle(membership: membership, mount: "/sys/fs/cgroup"))
  }
}
