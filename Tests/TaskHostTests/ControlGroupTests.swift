// SPDX-License-Identifier: Apache-2.0
import CSystemShims
import Foundation
@testable import TaskHost
import TestSupport
import Testing

/// The files of a kernel are stood in for by a folder: what is written is what counts.
@Suite("Control groups")
struct ControlGroupTests {
  private let mount: TemporaryDirectory

  init() throws {
    mount = try TemporaryDirectory()
    for group in ["roost-worker-w", "roost-host"] {
      try FileManager.default.createDirectory(
        atPath: mount.path + "/a.slice/" + group, withIntermediateDirectories: true)
    }
    for (name, text) in [
      ("cgroup.controllers", "cpuset cpu memory pids\n"), ("cgroup.procs", "\(getpid())\n"),
      ("cgroup.subtree_control", ""),
    ] { try mount.write("a.slice/\(name)", text) }
    // The kernel makes the files of a group with it.
    for name in ["cgroup.procs", "memory.max", "memory.oom.group", "cpu.max", "memory.events"] {
      try mount.write("a.slice/roost-worker-w/\(name)", "")
    }
    try mount.write("a.slice/roost-host/cgroup.procs", "")
  }

  private func text(_ path: String) throws -> String {
    try String(contentsOfFile: mount.path + "/a.slice/" + path, encoding: .utf8)
  }

  @Test("A worker's limits stand in its group before it enters, and the host makes room below its own")
  func limits() throws {
    let groups = try #require(ControlGroups(membership: "4:memory:/x\n0::/a.slice\n", mount: mount.path))
    let entry = try #require(groups.open(worker: "w", memory: 1 << 30, cpu: 1.5))
    defer { close(entry) }
    #expect(try text("roost-worker-w/memory.max") == "1073741824")
    #expect(try text("roost-worker-w/memory.oom.group") == "1")
    #expect(try text("roost-worker-w/cpu.max") == "150000 100000")
    #expect(try text("cgroup.subtree_control") == "+cpu +memory")
    #expect(try text("roost-host/cgroup.procs") == "\(getpid())")
    #expect(groups.open(worker: "w", memory: nil, cpu: nil) == nil, "without limits there is nothing to make")
    #expect(!groups.ranOutOfMemory(worker: "w"))
    try mount.write("a.slice/roost-worker-w/memory.events", "low 0\noom 1\noom_kill 3\n")
    #expect(groups.ranOutOfMemory(worker: "w"))
  }

  @Test("A group that others are in is not divided")
  func strangers() throws {
    try mount.write("a.slice/cgroup.procs", "\(getpid())\n1\n")
    let groups = try #require(ControlGroups(membership: "0::/a.slice\n", mount: mount.path))
    #expect(groups.open(worker: "w", memory: 1 << 30, cpu: nil) == nil)
    #expect(try text("roost-host/cgroup.procs") == "")
  }

  @Test("Where nothing is delegated there are no groups")
  func none() throws {
    #expect(ControlGroups(membership: "4:memory:/x\n", mount: mount.path) == nil)
    #expect(ControlGroups(membership: "0::/elsewhere\n", mount: mount.path) == nil)
  }

  @Test("A program enters its group before it begins")
  func entering() throws {
    let file = try mount.write("procs", "")
    let entry = open(file, O_WRONLY | O_CLOEXEC)
    defer { close(entry) }
    let child = try ChildProcess.start(
      "/bin/true", ["true"], ChildProcess.Setting(environment: [:], descriptors: [-1, -1, -1], cgroup: entry))
    #expect(child.reap() == .exited(0))
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "0")
  }
}
