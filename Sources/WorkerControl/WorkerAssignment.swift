// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// What a worker is to do; the host sends it as the first line on the control channel.
package struct WorkerAssignment: Codable, Sendable {
  package struct Plugin: Codable, Sendable {
    package var name: String
    /// As config has it.
    package var path: String
    /// The copy of that file that is loaded.
    package var copy: String
    /// A JSON object; it may hold secrets, so it goes neither through arguments nor through the environment.
    package var settings: String

    package init(name: String, path: String, copy: String, settings: String) {
      self.name = name
      self.path = path
      self.copy = copy
      self.settings = settings
    }
  }

  /// A type with the names of plugin and export, split.
  package struct TaskType: Codable, Sendable {
    package struct Reference: Codable, Sendable, Hashable {
      package var plugin: String
      package var export: String

      package init(plugin: String, export: String) {
        self.plugin = plugin
        self.export = export
      }

      /// As config writes it.
      package var text: String { "\(plugin)/\(export)" }
    }

    package var name: String
    package var executor: Reference
    package var callback: Reference?
    package var exceptionHandler: Reference?
    package var threads: Int
    package var handlerThreads: Int
    package var maxResult: Int
    package var retry: RetryPolicy
    package var handlerRetry: RetryPolicy
    /// How long an attempt may take; nil: without limit.
    package var timeoutMillis: Int64?
    /// How long code that was told to stop may go on.
    package var graceMillis: Int64

    package init(
      name: String, executor: Reference, callback: Reference?, exceptionHandler: Reference?, threads: Int,
      handlerThreads: Int, maxResult: Int, retry: RetryPolicy = .task, handlerRetry: RetryPolicy = .handler,
      timeoutMillis: Int64? = nil, graceMillis: Int64 = 5000
    ) {
      self.name = name
      self.executor = executor
      self.callback = callback
      self.exceptionHandler = exceptionHandler
      self.threads = threads
      self.handlerThreads = handlerThreads
      self.maxResult = maxResult
      self.retry = retry
      self.handlerRetry = handlerRetry
      self.timeoutMillis = timeoutMillis
      self.graceMillis = graceMillis
    }
  }

  /// A Redis address for the wire; its password stays on the socket between host and worker.
  private struct Redis: Codable {
    var socket: String?
    var host: String?
    var port: Int?
    var user: String?
    var password: String?
    var database: Int

    init(_ address: RedisAddress) {
      switch address.endpoint {
      case .unix(let path): socket = path
      case .tcp(let host, let port): (self.host, self.port) = (host, port)
      }
      (user, password, database) = (address.user, address.password, address.database)
    }

    var address: RedisAddress {
      let endpoint = socket.map(RedisEndpoint.unix) ?? .tcp(host: host ?? "127.0.0.1", port: port ?? 6379)
      return RedisAddress(endpoint: endpoint, user: user, password: password, database: database)
    }
  }

  package var redis: RedisAddress { redisURL.address }
  /// How many tasks and handler calls may be under way at once: the slots of the worker's flight board.
  package var slots: Int { types.reduce(0) { $0 + $1.threads + $1.handlerThreads } }
  /// The worker's id in Redis, new for each process.
  package var id: String
  /// For people: `host/worker/number`.
  package var label: String
  private var redisURL: Redis
  package var prefix: String
  package var leaseMillis: Int64
  package var logLevel: String
  package var logFormat: String
  package var plugins: [Plugin]
  package var types: [TaskType]
  /// Whether it takes only what is to run alone, one task at a time.
  package var runsAlone: Bool

  package init(
    id: String, label: String, redis: RedisAddress, prefix: String, leaseMillis: Int64, logLevel: String,
    logFormat: String, plugins: [Plugin], types: [TaskType], runsAlone: Bool = false
  ) {
    self.id = id
    self.label = label
    redisURL = Redis(redis)
    self.prefix = prefix
    self.leaseMillis = leaseMillis
    self.logLevel = logLevel
    self.logFormat = logFormat
    self.plugins = plugins
    self.types = types
    self.runsAlone = runsAlone
  }
}

/// What the host tells a worker after that.
package enum HostMessage: Codable, Sendable, Equatable {
  /// Said after `loaded`: connect and take tasks.
  case begin
  /// Redis has the heartbeat of this number.
  case acknowledged(beat: Int64)
  /// Take nothing more, finish what runs within the time, give back the rest, end. Said again, the shorter time holds.
  case drain(withinMillis: Int64)
}

/// What a worker tells its host.
package enum WorkerMessage: Codable, Sendable, Equatable {
  /// Something is wrong with the plugins; `path` is that of the field in config.json.
  package struct Issue: Codable, Sendable, Equatable {
    package var path: String
    package var message: String
    /// Whether a start with the same config may succeed later.
    package var mayBeTriedAgain: Bool

    package init(path: String, message: String, mayBeTriedAgain: Bool) {
      self.path = path
      self.message = message
      self.mayBeTriedAgain = mayBeTriedAgain
    }
  }

  /// A task that does not stop, which the process has to end for.
  package struct Overstay: Codable, Sendable, Equatable {
    package enum Reason: String, Codable, Sendable {
      case cancel, timeout
    }

    /// The task's id, 32 hex digits.
    package var task: String
    package var take: UInt32
    package var reason: Reason

    package init(task: String, take: UInt32, reason: Reason) {
      self.task = task
      self.take = take
      self.reason = reason
    }
  }

  /// All plugins are loaded and started; the worker waits for `begin`.
  case loaded
  /// All plugins are loaded and started, and Redis has the worker's lease.
  case ready
  case failed([Issue])
  case beat(number: Int64, lastBatch: Int64, held: [Int64], busy: [String: Int], finished: Int64)
  /// A retry that this worker has written is due in so many milliseconds, before the host hears of it in Redis.
  case comesDue(inMillis: Int64)
  /// Code of these tasks was told to stop and did not within its grace: nothing more is taken, neighbours have so long to
  /// finish, then the process ends. May be said again with further tasks.
  case overstayed([Overstay], endsWithinMillis: Int64)
  /// The lease was taken: whatever runs belongs to somebody else now, and the process ends.
  case leaseLost
  /// Everything is written or given back; the process ends.
  case drained
}
