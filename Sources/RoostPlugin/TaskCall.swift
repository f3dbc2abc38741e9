// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization

/// One call of an executor or a handler: from params to a status of the ABI.
struct TaskCall: Sendable {
  let handle: TaskHandle
  let context: TaskContext
  let instance: PluginInstance

  /// Runs a task to its end on the calling thread.
  func run<Body: TaskExecutor>(_ executor: Body) -> roost_status {
    do {
      let params = try decodeParams(Body.Params.self)
      return try succeed(with: executor.execute(params, context: context))
    } catch {
      return status(of: error)
    }
  }

  /// Starts a task on Swift's threads; it ends with finish().
  func start<Body: AsyncTaskExecutor>(_ executor: Body) -> roost_status {
    let params: Body.Params
    do {
      params = try decodeParams(Body.Params.self)
    } catch {
      return status(of: error)
    }
    let key = UInt(bitPattern: handle.task)
    // Under the lock, so that the task cannot take itself out of the table before it is in.
    let task = instance.running.withLock { running in
      let task = Task {
        let status: roost_status
        do {
          status = try succeed(with: await executor.execute(params, context: context))
        } catch {
          status = self.status(of: error)
        }
        _ = instance.running.withLock { $0.removeValue(forKey: key) }
        handle.finish(status)
      }
      running[key] = task
      return task
    }
    // cancel() may have come before the task was in the table. Asked under the lock, because once the task has left the table
    // its handle may be dead.
    if instance.running.withLock({ $0[key] != nil && handle.stopRequested() != 0 }) { task.cancel() }
    return ROOST_PENDING
  }

  /// Calls a handler.
  func handle(_ outcome: TaskOutcome, with handler: (TaskCall, TaskOutcome) throws -> Void) -> roost_status {
    do {
      try handler(self, outcome)
      return ROOST_OK
    } catch is Detached {
      handle.setError(message: "a handler cannot detach")
      return ROOST_FAILED
    } catch {
      return status(of: error)
    }
  }

  /// Decodes straight from the host's memory, which stays until the task has ended.
  private func decodeParams<Params: Decodable>(_ type: Params.Type) throws -> Params {
    do {
      return try decodeJSON(type, from: handle.info().params.buffer)
    } catch {
      throw TaskRejection(explain(error, root: "params"))
    }
  }

  /// A result that the host does not take counts as a failure there, in the host's words.
  private func succeed(with result: some Encodable) throws -> roost_status {
    let json: [UInt8]
    do {
      json = try encodeJSON(result)
    } catch {
      throw TaskFailure(explain(error, root: "result"))
    }
    _ = handle.setResult(json)
    return ROOST_OK
  }

  /// The one place where an error becomes a status.
  private func status(of error: any Error) -> roost_status {
    switch error {
    case is Detached:
      return ROOST_DETACHED
    case is CancellationError:
      handle.setError(message: "it stopped though nobody asked it to")
      return ROOST_CANCELLED
    case let rejection as TaskRejection:
      handle.setError(message: rejection.message, flags: ROOST_NOT_RETRYABLE, detail: rejection.detail)
      return ROOST_REJECTED
    case let failure as TaskFailure:
      handle.setError(
        message: failure.message, code: failure.code, flags: failure.retryable ? 0 : ROOST_NOT_RETRYABLE,
        retryAfterMillis: failure.retryAfter.map(millis) ?? 0, detail: failure.detail)
      return ROOST_FAILED
    default:
      handle.setError(message: explain(error, root: "value"))
      return ROOST_FAILED
    }
  }
}

/// Whole milliseconds, at least 1, because 0 means "the type's backoff" in the ABI; at most a day.
private func millis(_ duration: Duration) -> Int64 {
  let (seconds, attoseconds) = duration.components
  guard seconds < 86_400 else { return 86_400_000 }
  return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
}
