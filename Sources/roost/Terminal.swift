// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Standard output and error, and what is known of the terminal behind them.
enum Terminal {
  /// True when people look at standard output.
  static let isInteractive = isatty(STDOUT_FILENO) == 1

  /// True when colour may be used on standard output.
  static let hasColour = isInteractive && (environment("NO_COLOR") ?? "").isEmpty && environment("TERM") != "dumb"

  /// Columns of the terminal; 80 when they are not known.
  static var width: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }

  /// A variable of the environment; nil when it is not set.
  static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// Prints a line on standard output.
  static func line(_ text: String) throws(CommandError) {
    try write(Array(text.utf8) + [0x0a])
  }

  /// Prints bytes on standard output.
  static func write(_ bytes: [UInt8]) throws(CommandError) {
    try write(bytes, to: STDOUT_FILENO)
  }

  /// Prints a line on standard error.
  static func error(_ text: String) throws(CommandError) {
    try write(Array(text.utf8) + [0x0a], to: STDERR_FILENO)
  }

  private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(CommandError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw .failed("cannot write the output: \(String(cString: strerror(errno)))") }
      rest = rest.dropFirst(written)
    }
  }

  /// A text of somebody else that cannot move the cursor or forge a line.
  static func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? " " : $0 }))
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
  }

  /// Cut to so many columns, with an ellipsis where something was cut.
  static func cut(_ text: String, to columns: Int) -> String {
    guard width(of: text) > columns else { return text }
    var kept = ""
    var used = 0
    for character in text {
      let width = width(of: String(character))
      if used + width > columns - 1 { break }
      kept.append(character)
      used += width
    }
    return columns > 0 ? kept + "…" : ""
  }

  /// Columns that a text takes: two for the wide characters of East Asia and for emoji, none for combining marks.
  static func width(of text: String) -> Int {
    text.reduce(0) { sum, character in
      guard let scalar = character.unicodeScalars.first else { return sum }
      switch scalar.value {
      case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
        0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff,
        0x20000...0x3fffd:
        return sum + 2
      default: return sum + 1
      }
    }
  }

  /// The name of a status in its colour, where there are colours.
  static func coloured(_ text: String, as status: String) -> String {
    let code =
      switch status {
      case "COMPLETED": "32"
      case "FAILED": "31"
      case "CANCELLED": "33"
      case "IN_PROGRESS": "36"
      default: "0"
      }
    return hasColour ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}
