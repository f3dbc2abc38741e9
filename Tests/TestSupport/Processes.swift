// SPDX-License-Identifier: Apache-2.0
import CSystemShims
import Foundation

public struct SpawnFailed: Error, CustomStringConvertible {
  public let description: String

  public init(description: String) {
    self.description = description
  }
}

/// Starts a program that ends with this process at the latest.
public func spawn(
  _ path: String, _ words: [String], environment: [String: String]? = nil, directory: String? = nil,
  descriptors: [Int32] = [-1, -1, 2], deathSignal: Int32 = SIGKILL
) throws -> pid_t {
  let environment = environment ?? ProcessInfo.processInfo.environment
  let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
  let envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
  let texts = [strdup(path), directory.map { strdup($0) } ?? nil]
  defer { for pointer in argv + envp + texts { free(pointer) } }
  // Tied to a thread that never ends: the thread of a test does.
  let box = SpawnBox()
  argv.withUnsafeBufferPointer { argv in
    envp.withUnsafeBufferPointer { envp in
      descriptors.withUnsafeBufferPointer { fds in
        SpawnThread.shared.run {
          var start = roost_start(
            path: texts[0], argv: argv.baseAddress, envp: envp.baseAddress, directory: texts[1],
            fds: fds.baseAddress, fd_count: Int32(fds.count), death_signal: deathSignal, group: 1, cgroup: -1,
            changes_user: 0, user: 0, primary_group: 0, groups: nil, group_count: 0)
          box.pid = roost_spawn(&start)
        }
      }
    }
  }
  guard box.pid > 0 else { throw SpawnFailed(description: "cannot start \(path): error \(-box.pid)") }
  return box.pid
}

private final class SpawnBox {
  var pid: pid_t = 0
}

/// One thread that lives as long as the process, because a child dies with the thread that made it.
private final class SpawnThread: @unchecked Sendable {  // @unchecked: `work` is handed over through the semaphores
  static let shared = SpawnThread()
  private let lock = NSLock()
  private let ready = DispatchSemaphore(value: 0)
  private let done = DispatchSemaphore(value: 0)
  private var work: (() -> Void)?

  init() {
    Thread.detachNewThread { [self] in
      while true {
        ready.wait()
        work?()
        done.signal()
      }
    }
  }

  func run(_ body: () -> Void) {
    lock.lock()
    defer { lock.unlock() }
    withoutActuallyEscaping(body) { body in
      work = body
      ready.signal()
      done.wait()
      work = nil
    }
  }
}

/// What a program printed and how it ended.
public struct Finished: Sendable {
  public let status: Int32
  public let output: String
  public let errors: String
}

/// Runs a program to its end.
public func run(
  _ path: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil,
  input: String = ""
) throws -> Finished {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: path)
  process.arguments = arguments
  if let environment { process.environment = environment }
  if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
  let (inPipe, outPipe, errPipe) = (Pipe(), Pipe(), Pipe())
  process.standardInput = inPipe
  process.standardOutput = outPipe
  process.standardError = errPipe
  try process.run()
  DispatchQueue.global().async {
    try? inPipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try? inPipe.fileHandleForWriting.close()
  }
  let errors = Gathered()
  let group = DispatchGroup()
  DispatchQueue.global().async(group: group) { errors.data = errPipe.fileHandleForReading.readDataToEndOfFile() }
  let output = outPipe.fileHandleForReading.readDataToEndOfFile()
  group.wait()
  process.waitUntilExit()
  return Finished(
    status: process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus,
    output: String(decoding: output, as: UTF8.self), errors: String(decoding: errors.data, as: UTF8.self))
}

private final class Gathered: @unchecked Sendable {  // @unchecked: written before the group is left, read after it
  var data = Data()
}
