// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
internal import Glibc
internal import Logging
internal import TaskModel
internal import Threading

/// Reads what plugins write to standard output and error, on a thread of its own, and logs it line by line.
///
/// Duties: 1. say with each line which worker, and if it can be told which plugin and task, it comes from; 2. keep the last
/// lines of each worker for the error of the task that takes it down; 3. let no flood of lines fill the log or stop the host:
/// what is too much is counted and left out, and who writes even more waits.
final class OutputReader: Sendable {
  struct Pipe {
    let reader: Int32
    let writer: Int32
  }

  struct Pipes {
    let output: Pipe
    let errors: Pipe

    init() throws(HostError) {
      output = try Self.make()
      do throws(HostError) {
        errors = try Self.make()
      } catch {
        Glibc.close(output.reader)
        Glibc.close(output.writer)
        throw error
      }
    }

    func closeReaders() {
      Glibc.close(output.reader)
      Glibc.close(errors.reader)
    }

    func closeWriters() {
      Glibc.close(output.writer)
      Glibc.close(errors.writer)
    }

    private static func make() throws(HostError) -> Pipe {
      var ends: [Int32] = [0, 0]
      guard roost_pipe(&ends) == 0 else { throw .system("no descriptor is left; raise the limit of open files") }
      _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
      return Pipe(reader: ends[0], writer: ends[1])
    }
  }

  /// One end of a worker's output.
  private struct Stream {
    let worker: String
    let name: String
    let descriptor: Int32
    let origin: Origin
    var line: [UInt8] = []
    /// The second that the counts are of.
    var second: Int64 = 0
    var lines = 0
    var bytes = 0
    var leftOut = 0
  }

  private struct Origin {
    let label: String
    let board: FlightBoard
    let plan: WorkerPlan
  }

  private struct State {
    var added: [Stream] = []
    /// How many ends of a worker are open.
    var open: [String: Int] = [:]
    var tails: [String: [String]] = [:]
    /// Workers whose last lines were asked for while an end was still open.
    var finished: Set<String> = []
    var isOver = false
  }

  /// Bytes of a line; longer ones are cut.
  static let lineLimit = 8192
  /// Lines of a worker's end that are logged in a second.
  static let linesPerSecond = 1000
  /// Bytes that are read of it in a second.
  static let bytesPerSecond = 8 << 20
  /// As how many bytes a line counts beside its own.
  private static let lineCost = 256
  /// Bytes that are kept of each of the last lines.
  private static let tailLineLimit = 1024
  /// Lines that are kept of each worker.
  static let tail = 1000
  /// Nanoseconds that a dead worker's last words may take.
  private static let patience: Int64 = 300_000_000

  private let state = Monitor(State())
  private let bell: Int32

  init() {
    bell = roost_eventfd()
  }

  deinit {
    Glibc.close(bell)
  }

  /// Takes the reading ends over.
  func read(_ pipes: Pipes, of worker: String, label: String, board: FlightBoard, plan: WorkerPlan) {
    let origin = Origin(label: label, board: board, plan: plan)
    state.withLock { state in
      state.open[worker] = 2
      for (name, pipe) in [("stdout", pipes.output), ("stderr", pipes.errors)] {
        state.added.append(Stream(worker: worker, name: name, descriptor: pipe.reader, origin: origin))
      }
    }
    ring()
  }

  /// The last lines of a worker that has ended, once all are read; what it left behind may hold its ends open for longer.
  func finish(_ worker: String) -> [String] {
    let end = MonotonicClock.now + Self.patience
    _ = state.wait(until: end) { $0.open[worker] == nil ? true : nil }
    return state.withLock { state in
      if state.open[worker] != nil { state.finished.insert(worker) }
      return state.tails.removeValue(forKey: worker) ?? []
    }
  }

  func stop() {
    state.withLock { $0.isOver = true }
    ring()
  }

  /// Reads until `stop`; for a thread of its own.
  func run() {
    var streams: [Stream] = []
    while true {
      let isOver = state.withLock { state in
        streams += state.added
        state.added = []
        return state.isOver
      }
      if isOver { break }
      let second = MonotonicClock.now / 1_000_000_000
      for index in streams.indices where streams[index].second != second { turn(&streams[index], second) }
      // Who has written its share waits for the next second.
      let open = streams.indices.filter { streams[$0].bytes < Self.bytesPerSecond }
      var polls = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
      polls += open.map { pollfd(fd: streams[$0].descriptor, events: Int16(POLLIN), revents: 0) }
      poll(&polls, nfds_t(polls.count), streams.contains { $0.bytes > 0 } ? 200 : -1)
      silence()
      var ended: [Int] = []
      for (place, index) in open.enumerated() where polls[place + 1].revents != 0 {
        if !fill(&streams[index]) { ended.append(index) }
      }
      for index in ended.reversed() { close(streams.remove(at: index)) }
    }
    for stream in streams { Glibc.close(stream.descriptor) }
  }

  /// Reads what is there; false at the end.
  private func fill(_ stream: inout Stream) -> Bool {
    let count = withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer -> Int in
      let count = Glibc.read(stream.descriptor, buffer.baseAddress, buffer.count)
      if count > 0 { take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &stream) }
      return count
    }
    if count < 0 { return errno == EAGAIN || errno == EINTR }
    return count > 0
  }

  private func take(_ bytes: UnsafeRawBufferPointer, _ stream: inout Stream) {
    stream.bytes += bytes.count
    for part in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).dropLast() {
      append(part, &stream)
      say(&stream)
    }
    let last = bytes.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
    append(bytes[last...], &stream)
  }

  private func append(_ part: Slice<UnsafeRawBufferPointer>, _ stream: inout Stream) {
    stream.line.append(contentsOf: part.prefix(max(0, Self.lineLimit - stream.line.count)))
  }

  private func say(_ stream: inout Stream) {
    let text = String(decoding: stream.line, as: UTF8.self)
    stream.line.removeAll(keepingCapacity: true)
    state.withLock { state in
      guard !state.finished.contains(stream.worker) else { return }
      state.tails[stream.worker, default: []].append(text.prefixed(byBytes: Self.tailLineLimit))
      if let count = state.tails[stream.worker]?.count, count >= 2 * Self.tail {
        state.tails[stream.worker]?.removeFirst(Self.tail)
      }
    }
    stream.lines += 1
    // A line costs more than its bytes.
    stream.bytes += Self.lineCost
    if stream.lines > Self.linesPerSecond {
      stream.leftOut += 1
    } else {
      log(text, stream)
    }
  }

  private func log(_ text: String, _ stream: Stream) {
    var fields = [("worker", stream.origin.label), ("stream", stream.name)]
    let plugins = stream.origin.plan.pluginNames
    let flights = stream.origin.board.flights
    if let only = plugins.first, plugins.count == 1 { fields.append(("plugin", only)) }
    // With several under way nobody can tell which of them wrote it.
    if let flight = flights.first, flights.count == 1 {
      fields.append(("type", stream.origin.plan.typeName(flight.type)))
      fields.append(("task", flight.task.description))
    }
    Log.write(.info, { text }, fields: fields)
  }

  private func turn(_ stream: inout Stream, _ second: Int64) {
    if stream.leftOut > 0 {
      Log.warning(
        "\(stream.leftOut) lines were left out of what worker \(stream.origin.label) writes to \(stream.name)")
    }
    (stream.second, stream.lines, stream.bytes, stream.leftOut) = (second, 0, 0, 0)
  }

  private func close(_ stream: Stream) {
    var stream = stream
    if !stream.line.isEmpty { say(&stream) }
    turn(&stream, 0)
    Glibc.close(stream.descriptor)
    state.withLock { state in
      let left = (state.open[stream.worker] ?? 1) - 1
      state.open[stream.worker] = left > 0 ? left : nil
      if left <= 0 { state.finished.remove(stream.worker) }
    }
    state.broadcast()
  }

  private func ring() {
    var one: UInt64 = 1
    write(bell, &one, MemoryLayout<UInt64>.size)
  }

  private func silence() {
    var count: UInt64 = 0
    Glibc.read(bell, &count, MemoryLayout<UInt64>.size)
  }
}
