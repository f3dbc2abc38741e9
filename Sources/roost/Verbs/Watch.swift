// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

extension Verb {
  /// Follows a task to its end.
  static let watch = Verb(
    name: "watch", positionals: "ID", count: 1...1,
    summary: "Follow a task until it is final: a progress bar in a terminal, a line per change elsewhere",
    options: Option.client, run: runWatch)
}

private func runWatch(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let id = arguments.positionals[0]
  var view = makeView(arguments)
  var record = try client.record(id)
  defer { view.end() }
  try view.show(record)
  while !record.status.isFinal {
    usleep(200_000)
    record = try client.record(id)
    try view.show(record)
  }
  if let outcome = record.outcome { throw outcome }
  return .ok
}

private func makeView(_ arguments: Arguments) -> any WatchView {
  if arguments.has("json") { return JSONView() }
  return Terminal.isInteractive ? BarView() : LineView()
}

/// How a followed task is shown.
private protocol WatchView {
  mutating func show(_ record: Record) throws(CommandError)
  /// Leaves the terminal as it was; may be called twice.
  mutating func end()
}

/// What may take the terminal away while a bar is drawn; Ctrl-Z too.
private let endings = [SIGINT, SIGTERM, SIGHUP, SIGTSTP]

/// One line that is drawn again and again.
private struct BarView: WatchView {
  private var isDrawing = false

  mutating func show(_ record: Record) throws(CommandError) {
    if !isDrawing {
      isDrawing = true
      // Whoever presses Ctrl-C gets the cursor back.
      var unblocked = sigset_t()
      sigemptyset(&unblocked)
      for number in endings {
        signal(number, restoreCursor)
        sigaddset(&unblocked, number)
      }
      // A parent with threads may have left them blocked, and then the key would do nothing.
      sigprocmask(SIG_UNBLOCK, &unblocked, nil)
      try Terminal.write(Array("\u{1b}[?25l".utf8))
    }
    let bar = ProgressBar(record: record)
    try Terminal.write(Array("\r\(bar.line(width: Terminal.width))\u{1b}[K".utf8))
  }

  mutating func end() {
    guard isDrawing else { return }
    isDrawing = false
    try? Terminal.write(Array("\u{1b}[?25h\n".utf8))
    for number in endings { signal(number, SIG_DFL) }
  }
}

/// Shows the cursor again and lets the signal do what it does by default; async-signal-safe calls only.
private func restoreCursor(_ number: Int32) {
  let text: StaticString = "\u{1b}[?25h\n"
  _ = write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  signal(number, SIG_DFL)
  raise(number)
}

/// A line for each change, for pipes and logs.
private struct LineView: WatchView {
  private var last = ""

  mutating func show(_ record: Record) throws(CommandError) {
    var parts = [record.status.rawValue]
    if let due = record.due {
      parts += ["due \(due)", Terminal.printable(record.failure)].filter { !$0.isEmpty }
    } else if !record.status.isFinal {
      if let fraction = record.fraction { parts.append(ProgressBar.percent(fraction)) }
      if !record.note.isEmpty { parts.append(Terminal.printable(record.note)) }
    }
    let line = parts.joined(separator: " ")
    guard line != last else { return }
    last = line
    try Terminal.line(line)
  }

  mutating func end() {}
}

/// A JSON object for each change, one a line.
private struct JSONView: WatchView {
  private var last: [UInt8] = []

  mutating func show(_ record: Record) throws(CommandError) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("id", record.id)
    writer.member("type", record.type)
    writer.member("status", record.status.rawValue)
    for name in ["dueAt", "progress", "error"] where name != "dueAt" || record.due != nil {
      guard let value = record.document[name] else { continue }
      writer.key(name)
      writer.raw(value.bytes)
    }
    writer.endObject()
    guard writer.bytes != last else { return }
    last = writer.bytes
    try Terminal.write(last + [0x0a])
  }

  mutating func end() {}
}
