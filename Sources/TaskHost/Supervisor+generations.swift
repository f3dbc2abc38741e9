// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import CSystemShims
internal import Logging
internal import TaskStore

extension Supervisor {
  /// The extra process of a type.
  struct AloneWorker {
    let label: String
    var worker: WorkerProcess?
    var startAt: Int64 = 0
    var backoff = Backoff(initial: .milliseconds(50), limit: .seconds(10))
    /// Since when nothing waits for it; 0: something does.
    var idleSince: Int64 = 0
  }

  /// Milliseconds that an extra process stays when nothing waits for it.
  static let aloneLinger: Int64 = 3000
  /// A generation that cannot live is rolled back within so many milliseconds.
  static let trial: Int64 = 120_000
  /// What the oldest of three generations has to finish, in milliseconds.
  static let lastDrain: Int64 = 5000

  // MARK: Tasks that run alone

  /// So many tasks of each type wait to run alone.
  func waitAlone(_ counts: [String: Int]) {
    let now = roost_boottime_millis()
    for type in counts.keys where alone[type] == nil {
      if let plan = generation.aloneFor(type) { alone[type] = AloneWorker(label: plan.label) }
    }
    for type in alone.keys {
      let isIdle = counts[type] == nil && (alone[type]?.worker?.busy.isEmpty ?? true)
      let since = alone[type]?.idleSince ?? 0
      alone[type]?.idleSince = isIdle ? (since == 0 ? now : since) : 0
      guard isIdle, since > 0, now - since > Self.aloneLinger else { continue }
      if let worker = alone[type]?.worker { leave(worker, within: generation.config.drain.reload) }
      alone[type] = nil
    }
  }

  func startAlone(_ now: Int64) {
    for (type, place) in alone where place.worker == nil && place.startAt <= now && place.idleSince == 0 {
      guard let plan = generation.aloneFor(type), breakers[plan.worker].map({ $0.state == .closed }) ?? true else {
        continue
      }
      alone[type]?.worker = spawn(plan, generation)
      if alone[type]?.worker == nil { alone[type]?.startAt = now + 1000 }
    }
  }

  // MARK: Breakers

  func breakerOpened(_ worker: String) {
    let pause: Int64 = if case .open(let until) = breakers[worker]?.state { until - roost_boottime_millis() } else { 0 }
    Log.error("worker \(worker) died too often and is not started for \((pause + 500) / 1000) s; its tasks stay queued")
    // Not those of a candidate: they may be what mends it.
    for process in inForce where process.plan.worker == worker { leave(process, within: generation.config.drain.stop) }
    breakerChanged(worker)
    if let fallback, roost_boottime_millis() < fallback.until { rollBack(to: fallback.generation, because: worker) }
  }

  func breakerChanged(_ worker: String) {
    if breakers[worker]?.state == .halfOpen(since: nil) {
      Log.info("one process of worker \(worker) is started to see whether it lives")
      for index in slots.indices where slots[index].plan.worker == worker { slots[index].startAt = 0 }
    }
    if breakers[worker]?.state == .closed { breakers[worker] = nil }
    status.set(
      breakers: breakers.compactMapValues { breaker in
        switch breaker.state {
        case .closed: nil
        case .open: .open
        case .halfOpen: .halfOpen
        }
      })
  }

  // MARK: Replacing one generation by another

  /// Starts the workers of a generation; they begin when all of them have loaded.
  func prepare(_ generation: Generation, rollback: String? = nil) {
    var generation = generation
    generation.number = self.generation.number + 1
    var candidate = Candidate(generation: generation, rollback: rollback)
    for plan in generation.plans {
      if let worker = spawn(plan, generation) {
        candidate.workers.append(worker)
      } else {
        candidate.issues.append(ConfigIssue(path: "workers.\(plan.worker)", message: "\(plan.label) cannot be started"))
        break
      }
    }
    self.candidate = candidate
  }

  /// Lets the candidate take over if it is ready, or drops it if something is wrong with it.
  func settleCandidate() {
    guard let candidate else { return }
    if !candidate.issues.isEmpty {
      dropCandidate()
      Log.error("generation \(candidate.generation.number) is not used, and the one in force goes on")
      var seen: Set<String> = []
      let issues = candidate.issues.filter { seen.insert($0.path + $0.message).inserted }
      if candidate.rollback == nil { prepared(.failure(.refused(issues))) }
    } else if candidate.workers.allSatisfy({ $0.phase == .loaded }) {
      self.candidate = nil
      takeOver(candidate)
    }
  }

  func dropCandidate() {
    guard let candidate else { return }
    self.candidate = nil
    for worker in candidate.workers { leave(worker, within: .zero) }
  }

  private func takeOver(_ candidate: Candidate) {
    let now = roost_boottime_millis()
    let number = candidate.generation.number
    let old = inForce
    let drain = candidate.generation.config.drain.reload
    let before = generation
    alone = [:]
    install(candidate)
    fallback = candidate.rollback != nil ? nil : (before, now + Self.trial)
    status.set(trouble: candidate.rollback, for: "reload")
    for worker in candidate.workers { worker.begin() }
    for worker in old { leave(worker, within: drain) }
    for worker in leaving where worker.generation < number - 1 { worker.leave(within: .milliseconds(Self.lastDrain)) }
    Log.info("generation \(number) of workers takes over")
    if candidate.rollback == nil { prepared(.success(number)) }
  }

  private func rollBack(to generation: Generation, because worker: String) {
    // What an operator is about to bring comes first.
    guard candidate == nil else { return }
    let text =
      "generation \(self.generation.number) was rolled back, because its worker \(worker) died again and again; correct the plugin or the config and reload"
    Log.error(text)
    prepare(generation, rollback: text)
  }
}
