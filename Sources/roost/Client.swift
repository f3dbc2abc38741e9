// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

/// A running host, asked over HTTP; its refusals become messages and exit codes.
struct Client {
  static let defaultURL = "http://127.0.0.1:7411"

  private let http: HTTPClient
  private let verb: Verb

  /// The host that `--url`, `ROOST_URL` or the default names.
  init(_ arguments: Arguments) throws(CommandError) {
    verb = arguments.verb
    let url = arguments.value("url") ?? nonEmpty("ROOST_URL") ?? Self.defaultURL
    do throws(HTTPClientError) {
      http = try HTTPClient(url, token: arguments.value("token") ?? nonEmpty("ROOST_TOKEN"))
    } catch {
      throw .usage(error.description, verb: arguments.verb)
    }
  }

  /// Asks for one record, and with `wait` seconds until it is final or the time is over.
  func record(_ id: String, wait: Int = 0) throws(CommandError) -> Record {
    let query = wait > 0 ? "?wait=\(wait)s" : ""
    let reply = try send("GET", "/v1/tasks/\(encoded(id))\(query)", timeout: .seconds(wait + 15))
    return try Record(reply.body)
  }

  /// Waits as long as it takes until a task is final.
  func finalRecord(_ id: String) throws(CommandError) -> Record {
    do throws(CommandError) {
      var record = try record(id, wait: 30)
      while !record.status.isFinal { record = try self.record(id, wait: 30) }
      return record
    } catch {
      // The id may be printed nowhere else, and the task goes on without us.
      guard !error.message.contains(id) else { throw error }
      throw CommandError(exitCode: error.exitCode, message: "\(error.message) (while waiting for task \(id))")
    }
  }

  /// Sends one request; anything but a success becomes an error.
  func send(
    _ method: String, _ path: String, body: [UInt8]? = nil, timeout: Duration = .seconds(30)
  ) throws(CommandError) -> HTTPReply {
    let reply = try exchange(method, path, body: body, timeout: timeout)
    guard (200..<300).contains(reply.status) else { throw refusal(reply) }
    return reply
  }

  /// Sends one request and returns the reply whatever its status.
  func exchange(
    _ method: String, _ path: String, body: [UInt8]? = nil, timeout: Duration = .seconds(30)
  ) throws(CommandError) -> HTTPReply {
    do throws(HTTPClientError) {
      return try http.send(method, path, body: body, timeout: timeout)
    } catch {
      switch error {
      case .badURL, .failed: throw .failed(error.description)
      case .unreachable:
        throw .unreachable("\(error); is the host running? Start it with roost serve, or name another with --url")
      case .timedOut, .broken: throw .unreachable(error.description)
      }
    }
  }

  /// What a problem (RFC 9457) of the host means for the shell.
  func refusal(_ reply: HTTPReply) -> CommandError {
    guard let problem = Document(reply.body), let code = problem["code"]?.string else {
      return .failed("\(http.base) does not answer like a Roost host (HTTP status \(reply.status))")
    }
    let message = problem["detail"]?.string ?? problem["title"]?.string ?? code
    switch reply.status {
    // What the host cannot read are the words that the verb was given.
    case 400: return .usage(message, verb: verb)
    case 404: return .notFound(message)
    default: return .failed(message)
    }
  }
}

/// An id or a name as a part of a path or query (RFC 3986 unreserved characters stay).
func encoded(_ text: String) -> String {
  text.utf8.reduce(into: "") { result, byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
      result.unicodeScalars.append(Unicode.Scalar(byte))
    default:
      let digits = String(byte, radix: 16, uppercase: true)
      result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
    }
  }
}

private func nonEmpty(_ variable: String) -> String? {
  Terminal.environment(variable).flatMap { $0.isEmpty ? nil : $0 }
}
