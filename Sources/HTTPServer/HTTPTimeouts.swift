// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

/// How long a client may keep a connection busy or idle; its socket is shut down afterwards.
package struct HTTPTimeouts: Sendable {
  /// From the request line (the first request: from the connection) until the last byte of the body.
  package var request: Duration
  /// From one answer until the next request line.
  package var idle: Duration
  /// For taking an answer, besides the time that its bytes may take.
  package var answer: Duration
  /// The slowest reader that is put up with; at least 1.
  package var answerBytesPerSecond: Int

  package init(
    request: Duration = .seconds(60), idle: Duration = .seconds(75), answer: Duration = .seconds(60),
    answerBytesPerSecond: Int = 16 << 10
  ) {
    self.request = request
    self.idle = idle
    self.answer = answer
    self.answerBytesPerSecond = answerBytesPerSecond
  }

  /// How long a client may take an answer of that many bytes.
  func answer(of bytes: Int) -> Duration {
    answer + .milliseconds(bytes / max(1, answerBytesPerSecond) * 1000)
  }

  /// Milliseconds between two looks for connections past their time.
  var sweepMillis: Int64 {
    min(1000, max(10, min(request, idle, answer).millis / 4))
  }
}
