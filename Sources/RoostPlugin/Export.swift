// SPDX-License-Identifier: Apache-2.0

/// One thing that a plugin offers, as ``ExportBuilder`` gathers it.
public struct Export: Sendable {
  enum Kind: String, Sendable {
    case executor = "executor"
    case callback = "callback"
    case exceptionHandler = "exception handler"
  }

  /// What a factory made: the two closures that the ABI's functions call.
  enum Made: Sendable {
    case executor(@Sendable (TaskCall) -> Int32)
    case handler(@Sendable (TaskCall, TaskOutcome) throws -> Void)
  }

  let kind: Kind
  let name: String
  /// Whether the executor wants to hear of requests to stop through the ABI's cancel().
  let cancellable: Bool
  /// Makes the executor or handler of one instance from the plugin's settings.
  let make: @Sendable (_ settings: RawJSON) throws -> Made
}

/// An executor that the plugin offers under a name; config says `PLUGIN/name`.
public struct Executor: Sendable {
  let export: Export

  /// An executor whose factory takes the plugin's settings; a throw refuses the config with its text.
  public init<Settings: Decodable & SendableMetatype, Body: TaskExecutor>(
    _ name: String, _ make: @escaping @Sendable (Settings) throws -> Body
  ) {
    self.init(sync: name) { try make($0.decode(as: Settings.self)) }
  }

  /// An executor whose factory takes no settings; a throw refuses the config with its text.
  public init<Body: TaskExecutor>(_ name: String, _ make: @escaping @Sendable (()) throws -> Body) {
    self.init(sync: name) { _ in try make(()) }
  }

  /// An `async` executor whose factory takes the plugin's settings; a throw refuses the config with its text.
  public init<Settings: Decodable & SendableMetatype, Body: AsyncTaskExecutor>(
    _ name: String, _ make: @escaping @Sendable (Settings) throws -> Body
  ) {
    self.init(async: name) { try make($0.decode(as: Settings.self)) }
  }

  /// An `async` executor whose factory takes no settings; a throw refuses the config with its text.
  public init<Body: AsyncTaskExecutor>(_ name: String, _ make: @escaping @Sendable (()) throws -> Body) {
    self.init(async: name) { _ in try make(()) }
  }

  private init<Body: TaskExecutor>(sync name: String, made: @escaping @Sendable (RawJSON) throws -> Body) {
    export = Export(kind: .executor, name: name, cancellable: false) { settings in
      let executor = try made(settings)
      return .executor { $0.run(executor) }
    }
  }

  private init<Body: AsyncTaskExecutor>(async name: String, made: @escaping @Sendable (RawJSON) throws -> Body) {
    export = Export(kind: .executor, name: name, cancellable: true) { settings in
      let executor = try made(settings)
      return .executor { $0.start(executor) }
    }
  }
}

/// A callback that the plugin offers under a name: told of tasks that completed.
public struct Callback: Sendable {
  let export: Export

  /// A callback whose factory takes the plugin's settings; a throw refuses the config with its text.
  public init<Settings: Decodable & SendableMetatype, Handler: TaskCallback>(
    _ name: String, _ make: @escaping @Sendable (Settings) throws -> Handler
  ) {
    export = Export(kind: .callback, name: name, cancellable: false) { settings in
      let handler = try make(settings.decode(as: Settings.self))
      return .handler { try handler.completed($1, context: $0.context) }
    }
  }

  /// A callback whose factory takes no settings; a throw refuses the config with its text.
  public init<Handler: TaskCallback>(_ name: String, _ make: @escaping @Sendable (()) throws -> Handler) {
    export = Export(kind: .callback, name: name, cancellable: false) { _ in
      let handler = try make(())
      return .handler { try handler.completed($1, context: $0.context) }
    }
  }
}

/// An exception handler that the plugin offers under a name: told of tasks that failed for good.
public struct ExceptionHandler: Sendable {
  let export: Export

  /// An exception handler whose factory takes the plugin's settings; a throw refuses the config with its text.
  public init<Settings: Decodable & SendableMetatype, Handler: TaskExceptionHandler>(
    _ name: String, _ make: @escaping @Sendable (Settings) throws -> Handler
  ) {
    export = Export(kind: .exceptionHandler, name: name, cancellable: false) { settings in
      let handler = try make(settings.decode(as: Settings.self))
      return .handler { try handler.failed($1, context: $0.context) }
    }
  }

  /// An exception handler whose factory takes no settings; a throw refuses the config with its text.
  public init<Handler: TaskExceptionHandler>(_ name: String, _ make: @escaping @Sendable (()) throws -> Handler) {
    export = Export(kind: .exceptionHandler, name: name, cancellable: false) { _ in
      let handler = try make(())
      return .handler { try handler.failed($1, context: $0.context) }
    }
  }
}

/// Gathers the exports between a ``Plugin``'s braces.
@resultBuilder
public enum ExportBuilder {
  /// Takes an executor.
  public static func buildExpression(_ executor: Executor) -> [Export] { [executor.export] }
  /// Takes a callback.
  public static func buildExpression(_ callback: Callback) -> [Export] { [callback.export] }
  /// Takes an exception handler.
  public static func buildExpression(_ handler: ExceptionHandler) -> [Export] { [handler.export] }
  /// Joins the lines of a block.
  public static func buildBlock(_ exports: [Export]...) -> [Export] { exports.flatMap { $0 } }
  /// Allows `if`.
  public static func buildOptional(_ exports: [Export]?) -> [Export] { exports ?? [] }
  /// Allows `if` with `else`.
  public static func buildEither(first exports: [Export]) -> [Export] { exports }
  /// Allows `if` with `else`.
  public static func buildEither(second exports: [Export]) -> [Export] { exports }
  /// Allows `for`.
  public static func buildArray(_ exports: [[Export]]) -> [Export] { exports.flatMap { $0 } }
}
