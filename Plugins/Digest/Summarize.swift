// SPDX-License-Identifier: Apache-2.0
import RoostPlugin

/// Summarises a text with the sentences that say most of it.
struct Summarize: TaskExecutor {
  struct Settings: Decodable {
    /// Directories that may be read; the working directory, which is config.json's, if absent.
    let roots: [String]?
  }

  /// Either a file or the text itself, and how many sentences the summary may have.
  struct Request: Decodable {
    let path: String?
    let text: String?
    let sentences: Int?
  }

  /// The summary and what the text is like.
  struct Summary: Encodable {
    /// The chosen sentences, in the order of the text, joined.
    let summary: String
    let sentences: [String]
    /// The terms that the text uses most, the first one most.
    let keyTerms: [String]
    /// Words; of scripts that put no spaces between them, each letter counts.
    let words: Int
    /// What readers see as characters.
    let characters: Int
    /// At 200 words a minute, rounded up.
    let readingSeconds: Int
  }

  private static let wordsPerMinute = 200
  private static let keyTerms = 10
  private static let sentenceLimits = 1...100

  private let library: Library

  init(_ settings: Settings) throws {
    library = try Library(roots: settings.roots ?? ["."])
  }

  func execute(_ params: Request, context: TaskContext) throws -> Summary {
    let wanted = params.sentences ?? 3
    guard Self.sentenceLimits.contains(wanted) else {
      throw TaskRejection("params.sentences: \(wanted) is not between 1 and 100")
    }
    context.progress(0, "reading")
    let text = try text(of: params)

    try context.checkCancellation()
    context.progress(0.1, "finding sentences")
    let document = try Document(text) { done in
      try context.checkCancellation()
      context.progress(0.1 + 0.7 * done, "finding sentences")
    }
    context.progress(0.8, "weighing \(document.sentences.count) sentences")
    let ranking = Ranking(of: document)
    let chosen = try ranking.best(wanted) { try context.checkCancellation() }
    context.progress(0.95, "writing the summary")
    let sentences = chosen.map { document.sentences[$0].text }
    return Summary(
      summary: sentences.reduce(into: "") { joined, sentence in
        // Chinese and Japanese sentences follow one another without a space.
        if !joined.isEmpty, joined.last?.isFullWidthStop != true { joined += " " }
        joined += sentence
      },
      sentences: sentences, keyTerms: ranking.keyTerms(Self.keyTerms), words: document.words, characters: text.count,
      readingSeconds: (document.words * 60 + Self.wordsPerMinute - 1) / Self.wordsPerMinute)
  }

  private func text(of params: Request) throws -> String {
    let text: String
    switch (params.path, params.text) {
    case (let path?, nil): text = try library.text(at: path)
    case (nil, let given?): text = given
    case (nil, nil): throw TaskRejection("params: one of \"path\" and \"text\" is needed")
    case (_?, _?): throw TaskRejection("params: \"path\" and \"text\" exclude each other")
    }
    guard !text.utf8.contains(0) else { throw TaskRejection("this is not text: it contains NUL bytes") }
    return text
  }
}

extension Character {
  fileprivate var isFullWidthStop: Bool { "。！？｡」』）".contains(self) }
}
