// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import Synchronization
internal import Threading
internal import TaskModel
internal import TaskStore

/// `POST /v1/tasks/batch`: many submissions in one request, each with its own answer.
enum SubmitBatchRoute {
  /// Entries of one request.
  private static let limit = 10_000

  private typealias Entry = Result<Submission, Problem>

  static func submit(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let reader = SubmissionReader(call.request, now: store.clock.now)
      var entries = try entries(call.request.body, reader)
      try await refuseUnknownTypes(among: &entries, store)
      let answers = BatchAnswers(entries)
      await answers.submit(to: store)
      if let outage = answers.outage { throw outage }
      return .json(answers.json, status: 202)
    }
  }

  private static func entries(_ body: [UInt8], _ reader: SubmissionReader) throws(Problem) -> [Entry] {
    let entries: [Entry]
    do throws(JSONSyntaxError) {
      entries = try body.withUnsafeBufferPointer { (text) throws(JSONSyntaxError) in
        var scanner = JSONScanner(text)
        guard scanner.take(UInt8(ascii: "[")) else { return lines(text, body, reader) }
        return try elements(&scanner, text, body, reader)
      }
    } catch {
      throw Problem(error)
    }
    guard entries.count <= limit else {
      throw Problem(.tooMany, "a batch has at most \(limit) entries; send several", facts: [("limit", .number(limit))])
    }
    return entries
  }

  /// The rest of a JSON array; ends early where there are too many.
  private static func elements(
    _ scanner: inout JSONScanner, _ text: UnsafeBufferPointer<UInt8>, _ body: [UInt8], _ reader: SubmissionReader
  ) throws(JSONSyntaxError) -> [Entry] {
    var entries: [Entry] = []
    while !scanner.take(UInt8(ascii: "]")) {
      if !entries.isEmpty, !scanner.take(UInt8(ascii: ",")) { throw scanner.missing("\",\" or \"]\"", in: "an array") }
      let object = try ObjectBody.next(&scanner, over: text, of: body, from: 0, SubmissionReader.shape)
      entries.append(entry(object, reader))
      if entries.count > limit { return entries }
    }
    try scanner.end()
    return entries
  }

  /// NDJSON: a value on each line; empty ones do not count.
  private static func lines(
    _ text: UnsafeBufferPointer<UInt8>, _ body: [UInt8], _ reader: SubmissionReader
  ) -> [Entry] {
    var entries: [Entry] = []
    var start = 0
    while start < text.count, entries.count <= limit {
      let end = text[start...].firstIndex(of: 0x0a) ?? text.count
      let line = UnsafeBufferPointer(rebasing: text[start..<end])
      var scanner = JSONScanner(line)
      if scanner.peek() != nil { entries.append(entry(line, &scanner, body, start, reader)) }
      start = end + 1
    }
    return entries
  }

  private static func entry(
    _ line: UnsafeBufferPointer<UInt8>, _ scanner: inout JSONScanner, _ body: [UInt8], _ start: Int,
    _ reader: SubmissionReader
  ) -> Entry {
    do throws(JSONSyntaxError) {
      let object = try ObjectBody.next(&scanner, over: line, of: body, from: start, SubmissionReader.shape)
      try scanner.end()
      return entry(object, reader)
    } catch {
      return .failure(Problem(error))
    }
  }

  /// Asks Redis once for all types that are not known; the store would ask for each entry.
  private static func refuseUnknownTypes(among entries: inout [Entry], _ store: TaskStore) async throws(Problem) {
    let unknown = entries.indices.filter { index in
      if case .success(let submission) = entries[index] { store.definition(of: submission.type) == nil } else { false }
    }
    guard !unknown.isEmpty else { return }
    try await store.learnTypes()
    for index in unknown {
      guard case .success(let submission) = entries[index], store.definition(of: submission.type) == nil else {
        continue
      }
      entries[index] = .failure(.unknownType(submission.type))
    }
  }

  private static func entry(_ object: Result<ObjectBody, Problem>, _ reader: SubmissionReader) -> Entry {
    do throws(Problem) {
      return .success(try reader.submission(object.get()))
    } catch {
      return .failure(error)
    }
  }
}

/// What becomes of the entries of a batch; the store answers them in any order and on its own thread.
private final class BatchAnswers: Sendable {
  private struct State {
    var ids: [TaskID?]
    /// By the number of the entry.
    var problems: [Int: Problem]
    var unanswered: Int
  }

  private let entries: [Result<Submission, Problem>]
  private let state: Lock<State>

  init(_ entries: [Result<Submission, Problem>]) {
    self.entries = entries
    var problems: [Int: Problem] = [:]
    for (index, entry) in entries.enumerated() { if case .failure(let problem) = entry { problems[index] = problem } }
    state = Lock(
      State(
        ids: Array(repeating: nil, count: entries.count), problems: problems,
        unanswered: entries.count - problems.count))
  }

  /// Hands all entries to the store in a row, so that they gather in few calls, and waits for the last answer.
  func submit(to store: TaskStore) async {
    guard state.withLock({ $0.unanswered > 0 }) else { return }
    await withCheckedContinuation { continuation in
      for (index, entry) in entries.enumerated() {
        guard case .success(let submission) = entry else { continue }
        store.submit(submission) { [self] result in
          if note(result, of: index) { continuation.resume() }
        }
      }
    }
  }

  /// Returns true when it was the last.
  private func note(_ result: Result<Receipt, TaskStoreError>, of index: Int) -> Bool {
    state.withLock { state in
      switch result {
      case .success(let receipt): state.ids[index] = receipt.id
      case .failure(let error): state.problems[index] = Problem(error)
      }
      state.unanswered -= 1
      return state.unanswered == 0
    }
  }

  /// Why nothing of the batch is stored, if that is because Redis is away: such a request is to be sent again as a whole.
  var outage: Problem? {
    state.withLock { state in
      guard state.ids.allSatisfy({ $0 == nil }) else { return nil }
      return state.problems.values.first { $0.code == .redisUnavailable }
    }
  }

  /// `{"results":[{"id"}|{"error": problem}…]}` in the order of the entries.
  var json: [UInt8] {
    let (ids, problems) = state.withLock { ($0.ids, $0.problems) }
    var writer = JSONWriter(capacity: ids.count * 44 + problems.count * 300 + 32)
    var object: [UInt8] = []
    writer.beginObject()
    writer.key("results")
    writer.beginArray()
    for (index, id) in ids.enumerated() {
      if let id {
        object.removeAll(keepingCapacity: true)
        object.append(contentsOf: #"{"id":""#.utf8)
        id.append(to: &object)
        object.append(contentsOf: #""}"#.utf8)
        writer.raw(object)
      } else if let problem = problems[index] {
        writer.beginObject()
        writer.key("error")
        problem.write(to: &writer)
        writer.endObject()
      }
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }
}
