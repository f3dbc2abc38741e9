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

  package init() {}
}

/// A place where tasks of one status stand in an order that costs nothing to keep.
private enum Place: String, CaseIterable {
  case running = "run"
  case queue = "q"
  case due = "due"
  /// The two finished lists, merged by the time of the final status.
  case finished = "fin"

  var lists: [String] { self == .finished ? ["done", "dead"] : [rawValue] }

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
  /// A page of tasks in the order of the contract; nil if the cursor did not come from an earlier page.
  ///
  /// Where nothing stands between them in time, its cost depends on `limit` and on the number of types alone.
  package func page(_ query: TaskQuery) async throws(TaskStoreError) -> TaskPage? {
    let places = Place.allCases.filter { place in query.status.map(place.shows) ?? true }
    guard var cursor = query.cursor.map({ Cursor(text: $0) }) ?? Cursor(places[0]),
      let first = places.firstIndex(of: cursor.place)
    else { return nil }
    let types = query.type.map { [$0] } ?? knownTypes.map(\.name)
    var found: [(id: TaskID, stored: StoredRecord?)] = []
    var hasMore = false
    for place in places[first...] {
      if cursor.place != place { cursor = Cursor(place) }
      // What is not there any more leaves gaps; a page may be short only where there are very many.
      for _ in 0..<8 {
        hasMore = try await fill(&found, &cursor, types, query)
        if !hasMore || found.count >= query.limit { break }
      }
      if hasMore || found.count >= query.limit { break }
    }
    // The next page begins in the next place when this one was read to its end.
    if !hasMore, let index = places.firstIndex(of: cursor.place), index + 1 < places.count {
      cursor = Cursor(places[index + 1])
      hasMore = true
    }
    let records = try await complete(found, parts: query.parts).compactMap { $0 }
    return TaskPage(records: records, cursor: hasMore ? cursor.text : nil)
  }

  /// Merges the lists of one place up to the limit; returns whether the place has more.
  private func fill(
    _ found: inout [(id: TaskID, stored: StoredRecord?)], _ cursor: inout Cursor, _ types: [String], _ query: TaskQuery
  ) async throws(TaskStoreError) -> Bool {
    let wanted = max(16, query.limit - found.count)
    let place = cursor.place
    var candidates: [Candidate] = []
    for list in place.lists {
      let positions = types.map { (type: $0, position: cursor.positions["\(list):\($0)"] ?? "") }
      let replies = try await read { connection in
        var call = connection.command(.page)
        call.add(list)
        call.add(Int64(wanted))
        for entry in positions {
          call.add(entry.type)
          call.add(entry.position)
        }
        return [call.command]
      }
      for (type, reply) in zip(types, replies.first?.arrayValue ?? []) {
        let entries = reply.arrayValue ?? []
        for index in stride(from: 0, to: entries.count - 2, by: 3) {
          guard let position = entries[index].textValue, let id = entries[index + 1].bulkValue.flatMap({ TaskID($0) })
          else { continue }
          candidates.append(
            Candidate(
              list: "\(list):\(type)", position: position, id: id,
              stored: entries[index + 2].bulkValue.flatMap { StoredRecord($0[...]) },
              isLastRead: index + 3 == 3 * wanted))
        }
      }
    }
    let merged = merge(candidates, place)
    for candidate in merged {
      if found.count >= query.limit { return true }
      cursor.positions[candidate.list] = candidate.position
      if let stored = candidate.stored, place.shows(stored.state.status),
        query.status.map({ $0 == stored.state.status }) ?? true, !found.contains(where: { $0.id == candidate.id })
      {
        found.append((candidate.id, stored))
      }
      // What stands behind it in its own list is not known, and may belong before the rest of the others.
      if candidate.isLastRead { return true }
    }
    return false
  }

  /// Interleaves lists that are each in order; an entry without a record keeps its place behind the one before it.
  private func merge(
    _ candidates: [Candidate], _ place: Place
  ) -> [Candidate] {
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
