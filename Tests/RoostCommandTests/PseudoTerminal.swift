// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import Threading

/// A terminal whose screen is the test.
final class PseudoTerminal: Sendable {
  private let master: Int32
  private let slave: Int32
  private let seen = Lock<[UInt8]>([])

  init(columns: UInt16) throws {
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var number: Int32 = 0
    // What unlockpt and ptsname do, which Swift cannot see.
    guard master >= 0, ioctl(master, 0x4004_5431, &number) == 0, ioctl(master, 0x8004_5430, &number) == 0 else {
      throw POSIXError(.ENXIO)
    }
    slave = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    guard slave >= 0, ioctl(slave, UInt(TIOCSWINSZ), &size) == 0, fcntl(master, F_SETFL, O_NONBLOCK) == 0 else {
      throw POSIXError(.ENXIO)
    }
  }

  deinit {
    close(master)
    close(slave)
  }

  /// Starts `roost` with its standard output in this terminal.
  func start(_ arguments: [String], environment: [String: String] = [:]) throws -> Process {
    let process = RoostCommand.make(arguments, environment: ["TERM": "xterm"].merging(environment) { $1 })
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// All that was written so far.
  func text() -> String {
    seen.withLock { seen in
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = read(master, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: seen, as: UTF8.self) }
        seen += buffer[..<count]
      }
    }
  }
}
