// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// `redis`: where tasks are kept.
package struct RedisConfig: Sendable, Equatable {
  package enum Source: Sendable, Equatable {
    /// A private server that the host runs itself.
    case embedded(EmbeddedRedisConfig)
    /// A server that runs already.
    case address(RedisAddress)
  }

  package var source: Source
  /// What every key begins with.
  package var prefix: String
}

/// `redis.embedded`: the server that the host runs.
package struct EmbeddedRedisConfig: Sendable, Equatable {
  /// When the append-only file is forced to disk.
  package enum Fsync: String, Sendable, CaseIterable {
    case everysec, always
  }

  /// Absolute.
  package var directory: String
  package var fsync: Fsync
  /// An absolute path, or a name to look for on the PATH; nil: `redis-server`, else `valkey-server`.
  package var server: String?
}

extension RedisConfig {
  init(_ from: ConfigDecoder) {
    let embedded = from.object("embedded", EmbeddedRedisConfig.init)
    source = .embedded(embedded)
    if let text = from.string("url") {
      do throws(RedisAddressError) {
        source = .address(try RedisAddress(text))
      } catch {
        from.refuse("url", error.description)
      }
      if from.has("embedded") { from.refuse("url", "redis.embedded and redis.url cannot both be given; keep one") }
    }
    prefix = from.string("prefix") ?? "roost"
    if !prefix.split(separator: ":", omittingEmptySubsequences: false).allSatisfy(isValidName) {
      from.refuse("prefix", "\(from.shown("prefix")) is not a prefix for keys; write a name, or several with : between")
    }
  }
}

extension EmbeddedRedisConfig {
  init(_ from: ConfigDecoder) {
    directory = from.report.absolute(from.path("directory") ?? "data")
    fsync = from.choice("fsync", default: .everysec)
    server = from.path("server").map { $0.utf8.contains(UInt8(ascii: "/")) ? from.report.absolute($0) : $0 }
  }
}
