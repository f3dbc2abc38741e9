// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// A task that is to be stored.
package struct Submission: Sendable {
  /// A moment that a submission names, by Redis' clock.
  package enum Moment: Sendable, Equatable {
    /// Counted from the submission.
    case after(Duration)
    case at(Timestamp)

    func time(from now: Timestamp) -> Timestamp {
      switch self {
      case .after(let duration): Timestamp(millis: now.millis + duration.millis)
      case .at(let time): time
      }
    }
  }

  package var type: String
  /// One JSON value, checked by whoever made this; kept and returned byte for byte.
  package var params: [UInt8]
  package var priority = TaskPriority.normal
  /// Not before this; nil: at once.
  package var due: Moment?
  /// Not started by this, the task fails; nil: it waits as long as it takes.
  package var expires: Moment?
  /// Takes the place of the type's timeout.
  package var timeout: Duration?
  /// At most 256 bytes of UTF-8; unique within the type while the task that has it is kept.
  package var key: String?
  /// W3C traceparent, or nil.
  package var trace: String?
  /// Whether a message is to come when it is final.
  var isWatched = false

  package init(type: String, params: [UInt8], trace: String? = nil) {
    self.type = type
    self.params = params
    self.trace = trace
  }

  /// The same with all moments as times; nothing is due later than now that was due before.
  func resolved(at now: Timestamp) -> Submission {
    if due == nil, expires == nil { return self }
    var copy = self
    let time = due?.time(from: now)
    copy.due = time.flatMap { $0 > now ? .at($0) : nil }
    copy.expires = expires.map { .at($0.time(from: now)) }
    return copy
  }

  /// When housekeeping is to look at it first: it is due then, or expires.
  func next(from now: Timestamp) -> Timestamp? { [due, expires].compactMap { $0?.time(from: now) }.min() }

  /// About how many bytes a call carries for it.
  var byteCount: Int { 200 + params.count + (key?.utf8.count ?? 0) }
}

/// What became of a submission.
package struct Receipt: Sendable, Equatable {
  /// The task's id, or that of the earlier task that has the same key.
  package let id: TaskID
  package let status: TaskStatus
  /// False: the key was there already, and nothing was stored.
  package let isNew: Bool

  package init(id: TaskID, status: TaskStatus, isNew: Bool) {
    self.id = id
    self.status = status
    self.isNew = isNew
  }
}
