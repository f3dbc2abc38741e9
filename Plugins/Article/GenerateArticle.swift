// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import PluginHTTP
import RoostPlugin

/// What an article is to be about.
struct ArticleRequest: Decodable {
  let topic: String
  let language: String?
  let words: Int?
  let instructions: String?
}

/// An article that the model has finished.
struct Article: Encodable {
  let text: String
  /// As the API names it, or as the settings do.
  let model: String
  /// `stop`, or `length` when the model's limit cut the text.
  let finishReason: String
  /// As the API sent it.
  let usage: JSONValue?
}

/// Lets a large language model write an article through an OpenAI-compatible API, streaming.
struct GenerateArticle: TaskExecutor {
  private static let wordLimits = 10...20_000
  private static let usualWords = 600

  private let settings: ArticleSettings

  init(_ settings: ArticleSettings) throws {
    self.settings = settings
    try HTTPPost.setUp()
  }

  func execute(_ params: ArticleRequest, context: TaskContext) throws -> Article {
    guard params.topic.contains(where: { !$0.isWhitespace }) else { throw TaskRejection("params.topic: empty") }
    let wanted = params.words ?? Self.usualWords
    guard Self.wordLimits.contains(wanted) else {
      throw TaskRejection("params.words: \(wanted) is not between 10 and 20000")
    }
    try context.checkCancellation()
    context.progress(0, "asking \(settings.model)")

    var draft = Draft(wantedWords: wanted, context: context)
    let body = try RawJSON(encoding: body(of: params, words: wanted)).bytes
    try ChatStream(settings).run(body: body, context: context) { try draft.take($0) }
    return try draft.article(by: settings.model)
  }

  private func body(of params: ArticleRequest, words: Int) -> ChatRequest {
    var task = "Write an article of about \(words) words about: \(params.topic)"
    if let language = params.language { task += "\nWrite it in this language: \(language)" }
    if let instructions = params.instructions { task += "\n\(instructions)" }
    return ChatRequest(
      model: settings.model,
      messages: [
        .init(
          role: "system", content: "You are a careful writer. Answer with the article alone, without remarks about it."),
        .init(role: "user", content: task),
      ],
      stream: true)
  }
}

/// The text so far, from the events of the stream.
struct Draft {
  /// More text than this is no article any more.
  private static let textLimit = 16 << 20

  private let wantedWords: Int
  private let context: TaskContext
  private var text = ""
  private var words = WordCount()
  private var saidWords = 0
  private var model: String?
  private var finishReason: String?
  private var usage: JSONValue?

  init(wantedWords: Int, context: TaskContext) {
    self.wantedWords = wantedWords
    self.context = context
  }

  /// Takes the data of one event.
  mutating func take(_ data: [UInt8]) throws {
    let chunk: ChatChunk
    do {
      chunk = try RawJSON(data).decode()
    } catch {
      throw TaskFailure("the model's stream has an event that is no chat completion chunk: \(excerpt(data))")
    }
    if let error = chunk.error { throw TaskFailure("the model's stream ended with an error: \(error.message)") }
    model = chunk.model ?? model
    usage = chunk.usage ?? usage
    // Further choices are further articles; one was asked for.
    guard let choice = chunk.choices?.first(where: { ($0.index ?? 0) == 0 }) else { return }
    finishReason = choice.finishReason ?? finishReason
    guard let piece = choice.delta?.content, !piece.isEmpty else { return }
    text += piece
    guard text.utf8.count <= Self.textLimit else {
      throw TaskFailure("the model does not stop writing", retryable: false)
    }
    words.count(piece)
    if words.total != saidWords {
      saidWords = words.total
      context.progress(min(0.99, Double(words.total) / Double(wantedWords)), "drafting, \(words.total) words")
    }
  }

  /// The finished article; throws if the stream did not say that it is one.
  func article(by asked: String) throws -> Article {
    guard let finishReason else {
      throw TaskFailure("the model's stream ended without a finish_reason after \(words.total) words")
    }
    guard text.contains(where: { !$0.isWhitespace }) else {
      throw TaskFailure("the model wrote nothing (finish_reason \(finishReason))")
    }
    return Article(text: text, model: model ?? asked, finishReason: finishReason, usage: usage)
  }
}

/// Counts words across pieces that are cut anywhere.
struct WordCount {
  private(set) var total = 0
  private var isInWord = false

  /// Counts the words that begin in this piece; each Chinese or Japanese letter is one.
  mutating func count(_ piece: String) {
    for scalar in piece.unicodeScalars {
      switch scalar.value {
      case 0x3041...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x323AF:
        total += 1
        isInWord = false
      case _ where scalar.properties.isWhitespace:
        isInWord = false
      default:
        if !isInWord, scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
          total += 1
          isInWord = true
        }
      }
    }
  }
}

/// The beginning of bytes from outside, short enough for a message.
func excerpt(_ bytes: [UInt8]) -> String {
  let text = String(decoding: bytes.prefix(400), as: UTF8.self)
  let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  return line.count > 200 ? line.prefix(200) + "…" : line
}
