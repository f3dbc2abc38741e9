// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel

/// A part of the list of tasks, and where the next one begins.
package struct TaskPage: Sendable {
  package var records: [TaskRecord]
  /// Opaque; nil at the end.
  package var cursor: String?
}

/// Which tasks a list shows.
package struct TaskQuery: Sendable {
  package var type: String?
  package var status: TaskStatus?
  package var limit = 50
  package var cursor: String?
  package var parts: TaskRecord.Parts = []
  /// Only tasks whose callback or exception handler was given up.
  package var onlyFailedHandlers = false

  package init() {}
}

/// A place where tasks of one status stand in an order that costs nothing to keep.
private enum Place: String, CaseIterable {
  case running = "run"
  case queue = "q"
  case due = "due"
  case finished = "fin"

  /// The lists of each type that have tasks of the status, or of any; merged by time.
  func lists(of status: TaskStatus?) -> [String] {
    switch self {
    case .running, .due: [rawValue]
    case .queue: ["q", "qh", "ql", "sq"]
    case .finished: status == nil ? ["done", "dead"] : status == .completed ? ["done"] : ["dead"]
    }
  }

  /// Whether it is a sorted set, not a list.
  var isSet: Bool { self == .running || self == .due }

  func sortKey(_ record: StoredRecord) -> Int64 {
    switch self {
    case .running: record.startedAt?.millis ?? 0
    case .queue: -record.createdAt.millis
    case .due: record.dueAt?.millis ?? 0
    case .finished: -(record.finishedAt?.millis ?? 0)
    }
  }

  func shows(_ status: TaskStatus) -> Bool {
    switch self {
    case .running: status == .inProgress
    case .queue: status == .pending
    case .due: status == .scheduled
    case .finished: status.isFinal
    }
  }
}

/// How far a list has been read: the place, and in each list of it the position of the last entry seen.
private struct Cursor {
  var place: Place
  var positions: [String: String] = [:]

  init(_ place: Place) {
    self.place = place
  }

  /// Reads `place` and lines of list and position, in base 64 (RFC 4648 section 5) as it came from `text`.
  init?(text: String) {
    guard let bytes = Base64URL.decode(text) else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    guard let place = lines.first.flatMap({ Place(rawValue: String($0)) }) else { return nil }
    self.init(place)
    for line in lines.dropFirst() {
      guard let tab = line.firstIndex(of: "\t") else { return nil }
      let position = line[line.index(after: tab)...]
      // In lists a number, in sets a number and a key, and no more digits than a script can count: else it is not from here.
      let parts = position.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == (place.isSet ? 2 : 1), parts[0].utf8.count <= 15, Int64(parts[0]) != nil else { return nil }
      positions[String(line[..<tab])] = String(position)
    }
  }

  /// Whether it stands in the lists alone, of the type or of any.
  func isOf(_ lists: [String], _ type: String?) -> Bool {
    positions.keys.allSatisfy { name in
      lists.contains { list in type.map { name == "\(list):\($0)" } ?? name.hasPrefix("\(list):") }
    }
  }

  var text: String {
    let lines = positions.sorted { $0.key < $1.key }.map { "\($0.key)\t\($0.value)" }
    return Base64URL.encode(Array(([place.rawValue] + lines).joined(separator: "\n").utf8))
  }
}

/// An entry of a list, with the record it stands for unless that is gone.
private struct Candidate {
  let list: String
  let position: String
  let id: TaskID
  let stored: StoredRecord?
  /// Whether its list was read up to it and may go on.
  let isLastRead: Bool
}

extension TaskStore {
  /// Entries of each list that a filter looks through at once.
  private static let searchStep = 256

  /// A page of tasks in the order of the contract; nil if the cursor did not come from an earlier page.
  ///
  /// Where nothing stands between them in time, its cost depends on `limit` and on the number of types alone, and it is one
  /// round trip. A page that is filtered may be short although its cursor goes on.
  package func page(_ query: TaskQuery) async throws(TaskStoreError) -> TaskPage? {
    var places = Place.allCases.filter { place in query.status.map(place.shows) ?? true }
    if query.onlyFailedHandlers { places = places.filter { $0 == .finished } }
    guard !places.isEmpty else { return TaskPage(records: [], cursor: nil) }
    guard var cursor = query.cursor.map({ Cursor(text: $0) }) ?? Cursor(places[0]),
      let first = places.firstIndex(of: cursor.place)
    else { return nil }
    let types = query.type.map { [$0] } ?? knownTypes.map(\.name)
    guard cursor.isOf(cursor.place.lists(of: query.status), query.type) else { return nil }
    if types.isEmpty { return TaskPage(records: [], cursor: nil) }
    var found = Found(query: query)
    var hasMore = true
    var rest = places[first...]
    // What is not there any more, or does not pass the filter, leaves gaps; a page is short only where there are very many.
    for _ in 0..<8 where hasMore && !found.isFull {
      let wanted = max(query.onlyFailedHandlers ? Self.searchStep : 16, query.limit - found.tasks.count)
      let candidates = try await candidates(from: Array(rest), cursor, types, query.status, wanted)
      for (place, list) in zip(rest, candidates) {
        if cursor.place != place { cursor = Cursor(place) }
        hasMore = merge(list, into: &found, &cursor)
        if hasMore { break }
        rest = rest.dropFirst()
        // The next page begins in the next place when this one was read to its end.
        guard let next = rest.first else { break }
        cursor = Cursor(next)
        hasMore = true
      }
    }
    let records = try await complete(found.tasks, parts: query.parts).compactMap { $0 }
    return TaskPage(records: records, cursor: hasMore ? cursor.text : nil)
  }

  /// The tasks of a page so far.
  private struct Found {
    let query: TaskQuery
    var tasks: [(id: TaskID, stored: StoredRecord?)] = []

    var isFull: Bool { tasks.count >= query.limit }

    mutating func add(_ candidate: Candidate, of place: Place) {
      guard let stored = candidate.stored, place.shows(stored.state.status),
        query.status.map({ $0 == stored.state.status }) ?? true,
        !query.onlyFailedHandlers || stored.handlerPhase == .failed, !tasks.contains(where: { $0.id == candidate.id })
      else { return }
      tasks.append((candidate.id, stored))
    }
  }

  /// Reads on in the places, as far as the first ones give enough; the cursor is that of the first.
  private func candidates(
    from places: [Place], _ cursor: Cursor, _ types: [String], _ status: TaskStatus?, _ wanted: Int
  ) async throws(TaskStoreError) -> [[Candidate]] {
    let lists = places.map { place in
      place.lists(of: status).flatMap { list in types.map { (list: list, type: $0, name: "\(list):\($0)") } }
    }
    let replies = try await read { connection in
      var call = connection.command(.page)
      call.add(Int64(wanted))
      for (index, place) in lists.enumerated() {
        for list in place {
          call.add(list.list)
          call.add(list.type)
          call.add(index == 0 ? cursor.positions[list.name] ?? "" : "")
        }
        for _ in 0..<3 { call.add("") }
      }
      return [call.command]
    }
    var answers = (replies.first?.arrayValue ?? [])[...]
    var result: [[Candidate]] = []
    for place in lists where answers.count >= place.count && !place.isEmpty {
      result.append(zip(place, answers.prefix(place.count)).flatMap { Self.candidates(of: $0.name, $1, wanted) })
      answers = answers.dropFirst(place.count)
    }
    return result
  }

  private static func candidates(of list: String, _ reply: RedisReply, _ wanted: Int) -> [Candidate] {
    let entries = reply.arrayValue ?? []
    return stride(from: 0, to: entries.count - 2, by: 3).compactMap { index in
      guard let position = entries[index].textValue, let id = entries[index + 1].bulkValue.flatMap({ TaskID($0) })
      else { return nil }
      return Candidate(
        list: list, position: position, id: id,
        stored: entries[index + 2].bulkValue.flatMap { StoredRecord($0) }, isLastRead: index + 3 == 3 * wanted)
    }
  }

  /// Takes over the candidates of the cursor's place up to the limit; returns whether the place has more.
  private func merge(_ candidates: [Candidate], into found: inout Found, _ cursor: inout Cursor) -> Bool {
    for candidate in inOrder(candidates, cursor.place) {
      if found.isFull { return true }
      cursor.positions[candidate.list] = candidate.position
      found.add(candidate, of: cursor.place)
      // What stands behind it in its own list is not known, and may belong before the rest of the others.
      if candidate.isLastRead { return true }
    }
    return false
  }

  /// Interleaves lists that are each in order; an entry without a record keeps its place behind the one before it.
  private func inOrder(_ candidates: [Candidate], _ place: Place) -> [Candidate] {
    var latest: [String: Int64] = [:]
    let keyed = candidates.enumerated().map { index, candidate in
      // Never before the one that stands before it in its own list, or the cursor would pass over that one.
      let key = max(candidate.stored.map(place.sortKey) ?? .min, latest[candidate.list] ?? .min)
      latest[candidate.list] = key
      return (key: key, index: index)
    }
    return keyed.sorted { ($0.key, $0.index) < ($1.key, $1.index) }.map { candidates[$0.index] }
  }
}
