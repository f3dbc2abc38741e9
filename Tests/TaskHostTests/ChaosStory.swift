// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// How long and how hard; a failure is repeated with the seed that it printed.
struct ChaosPlan: Sendable {
  var seed: UInt64
  var tasks: Int
  var time: Duration

  /// By `ROOST_CHAOS_SEED`, `ROOST_CHAOS_TASKS` and `ROOST_CHAOS_MINUTES`; without them about a minute.
  static var ofEnvironment: ChaosPlan {
    let environment = ProcessInfo.processInfo.environment
    let tasks = environment["ROOST_CHAOS_TASKS"].flatMap(Int.init)
    let minutes = environment["ROOST_CHAOS_MINUTES"].flatMap(Double.init)
    return ChaosPlan(
      seed: environment["ROOST_CHAOS_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1_000_000),
      tasks: max(1, tasks ?? minutes.map { Int($0 * 9000) } ?? 6000),
      time: .seconds((minutes ?? tasks.map { Double($0) / 9000 } ?? 0.6) * 60))
  }
}

/// What is done to hosts, workers, Redis and plugins; drawn from the seed alone, whatever comes of it.
enum ChaosDeed: Sendable, CustomStringConvertible {
  case killWorker(host: Int, nth: Int)
  case stopWorker(host: Int, nth: Int, for: Duration)
  case killHost(host: Int)
  case stopHost(host: Int, for: Duration)
  case killRedis
  case stopRedis(for: Duration)
  case cut(RedisProxy.Verdict, count: Int)
  case reload(host: Int, build: Int)
  case spoilPlugin(host: Int)

  static let builds = 6

  static func draw(_ generator: inout SeededGenerator) -> ChaosDeed {
    let host = Int.random(in: 0..<2, using: &generator)
    let nth = Int.random(in: 0..<100, using: &generator)
    let time = Duration.milliseconds(Int.random(in: 100...2500, using: &generator))
    let verdicts: [RedisProxy.Verdict] = [.loseRequest, .loseAnswer, .cutAnswer]
    switch Int.random(in: 0..<16, using: &generator) {
    case 0...2: return .killWorker(host: host, nth: nth)
    case 3, 4: return .stopWorker(host: host, nth: nth, for: time)
    case 5, 6: return .killHost(host: host)
    case 7: return .stopHost(host: host, for: time)
    case 8: return .killRedis
    case 9: return .stopRedis(for: time)
    case 10, 11: return .cut(verdicts[nth % 3], count: 1 + nth % 8)
    case 12...14: return .reload(host: host, build: nth % builds)
    default: return .spoilPlugin(host: host)
    }
  }

  /// Processes that may have run tasks whose end was not written down.
  var mayRepeat: Bool {
    switch self {
    case .reload, .spoilPlugin: false
    default: true
    }
  }

  var description: String {
    switch self {
    case .killWorker(let host, let nth): "kill worker \(nth) of host \(host)"
    case .stopWorker(let host, let nth, let time): "stop worker \(nth) of host \(host) for \(time)"
    case .killHost(let host): "kill host \(host)"
    case .stopHost(let host, let time): "stop host \(host) for \(time)"
    case .killRedis: "kill Redis"
    case .stopRedis(let time): "stop Redis for \(time)"
    case .cut(let verdict, let count): "\(verdict) of \(count) calls"
    case .reload(let host, let build): "reload host \(host) with build \(build)"
    case .spoilPlugin(let host): "overwrite the plugin of host \(host) with garbage"
    }
  }
}
