// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// Every name of a key that Swift uses; the scripts build theirs from the same prefix (Scripts/record.lua).
package struct Keys: Sendable {
  /// `{prefix}:{SS}:`, SS being the shard as hash tag: all that one script touches lies in one slot of a Redis Cluster.
  package let prefix: String
  private let recordPrefix: [UInt8]

  package init(prefix: String, shard: UInt8 = 0) {
    let hex = String(shard, radix: 16)
    self.prefix = "\(prefix):{\(hex.utf8.count < 2 ? "0" : "")\(hex)}:"
    recordPrefix = Array("\(self.prefix)t:".utf8)
  }

  /// Bytes of the key of a task's record.
  package var recordLength: Int { recordPrefix.count + 32 }
  /// Appends the key of a task's record.
  package func appendRecord(_ id: TaskID, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: recordPrefix)
    id.append(to: &bytes)
  }

  package func record(_ id: TaskID) -> String { "\(prefix)t:\(id)" }
  package func params(_ id: TaskID) -> String { "\(prefix)p:\(id)" }
  /// A result in a key of its own; `name` tells the writers of one task apart.
  package func result(_ id: TaskID, name: String) -> String { "\(prefix)r:\(id):\(name)" }
  package func progress(_ id: TaskID) -> String { "\(prefix)g:\(id)" }
  package func log(_ id: TaskID) -> String { "\(prefix)l:\(id)" }
  /// The list with the token that says: this type's queue has something to take.
  package func wake(_ type: String) -> String { "\(prefix)wake:\(type)" }
  /// The same for its handler queue.
  package func handlerWake(_ type: String) -> String { "\(prefix)hwake:\(type)" }
  /// The same for its tasks that run alone.
  package func aloneWake(_ type: String) -> String { "\(prefix)swake:\(type)" }
  /// The list with the ids of tasks that the worker holds and that somebody wants stopped.
  package func messages(to worker: String) -> String { "\(prefix)ctl:\(worker)" }
  /// What changes whenever somebody else than the worker changes a task that it holds.
  package func fence(of worker: String) -> String { "\(prefix)fence:\(worker)" }
  /// Within a transaction: that it stored the tasks of the host's call.
  package func stored(_ host: String, _ number: Int64) -> String { "\(prefix)new:\(host):\(number)" }
  package func counters(_ type: String) -> String { "\(prefix)n:\(type)" }
  /// Which types are paused, and which may have tasks of other priorities than normal.
  package var control: String { "\(prefix)control" }
  /// When each schedule was last dealt with.
  package var schedules: String { "\(prefix)schedules" }
  package var types: String { "\(prefix)types" }
  package var seen: String { "\(prefix)seen" }
  package var hosts: String { "\(prefix)hosts" }
  package var submits: String { "\(prefix)submits" }
  package var beats: String { "\(prefix)beats" }
  package var leases: String { "\(prefix)leases" }
  package var origins: String { "\(prefix)origins:text" }
  /// The channel on which ids of watched tasks come when they are final.
  package var finalChannel: String { "\(prefix)final" }
}
