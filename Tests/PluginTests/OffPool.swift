// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs a test that blocks on a thread of its own, so that Swift's few threads stay free for the tasks that it waits for.
func offPool(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}
