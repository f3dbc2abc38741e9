// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]
let internalImports: [SwiftSetting] = strict + [.enableUpcomingFeature("InternalImportsByDefault")]
let strictC: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=gnu11"])]

/// A Swift target of the host; `uses` may name targets further down this list only (docs/architecture.md).
func part(
  _ name: String, uses: [Target.Dependency], resources: [Resource] = []
) -> Target {
  .target(name: name, dependencies: uses, resources: resources, swiftSettings: internalImports)
}

/// A plugin: one folder in `Plugins/`, built as `lib<name>.so`.
func plugin(_ name: String, uses: [Target.Dependency] = ["RoostPlugin"]) -> Target {
  .target(name: name, dependencies: uses, path: "Plugins/\(name)", swiftSettings: strict)
}

func tests(
  of name: String, uses: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: uses + ["TestSupport"], exclude: exclude,
    resources: resources, swiftSettings: strict)
}

let package = Package(
  name: "roost",
  products: [
    .executable(name: "roost", targets: ["roost"]),
    .library(name: "RoostPlugin", targets: ["RoostPlugin"]),
    .library(name: "CRoost", targets: ["CRoost"]),
    .library(name: "Article", type: .dynamic, targets: ["Article"]),
    .library(name: "Command", type: .dynamic, targets: ["Command"]),
    .library(name: "Digest", type: .dynamic, targets: ["Digest"]),
    .library(name: "Notify", type: .dynamic, targets: ["Notify"]),
  ],
  targets: [
    .executableTarget(
      name: "roost",
      dependencies: ["HTTPAPI", "TaskHost", "Worker", "PluginLoader", "Config", "HTTPClient", "TaskModel", "Logging"],
      swiftSettings: internalImports),
    part("HTTPAPI", uses: ["TaskHost", "TaskStore", "HTTPServer", "TaskModel", "Logging"]),
    part("TaskHost", uses: ["TaskStore", "Config", "PluginLoader", "CSystemShims", "TaskModel", "Logging"]),
    part("Worker", uses: ["TaskStore", "PluginLoader", "CSystemShims", "TaskModel", "Logging"]),
    part("TaskStore", uses: ["Redis", "TaskModel", "Logging"], resources: [.embedInCode("Scripts")]),
    part("PluginLoader", uses: ["CRoost", "CSystemShims", "TaskModel", "Logging"]),
    part("HTTPServer", uses: ["CMicrohttpd", "CSystemShims", "TaskModel"]),
    part("HTTPClient", uses: ["CCurl", "TaskModel"]),
    part("Redis", uses: ["CHiredis", "CSystemShims", "TaskModel"]),
    part("Config", uses: ["TaskModel"]),
    part("Logging", uses: ["CSystemShims", "TaskModel"]),
    part("TaskModel", uses: []),

    .target(name: "RoostPlugin", dependencies: ["CRoost"], swiftSettings: internalImports),
    .target(name: "CRoost", cSettings: strictC),
    .target(name: "CSystemShims", cSettings: strictC),
    .systemLibrary(name: "CHiredis"),
    .systemLibrary(name: "CMicrohttpd"),
    .systemLibrary(name: "CCurl"),

    plugin("Article", uses: ["RoostPlugin", "CCurl"]),
    plugin("Command"),
    plugin("Digest"),
    .target(name: "Notify", dependencies: ["CRoost"], path: "Plugins/Notify", cSettings: strictC),

    .target(
      name: "TestSupport", dependencies: ["TaskModel", "CSystemShims"], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests(of: "TaskModel", uses: ["TaskModel"]),
    tests(of: "Config", uses: ["Config", "TaskModel"]),
    tests(of: "PluginLoader", uses: ["PluginLoader", "CRoost", "TaskModel"], exclude: ["BadPlugins"]),
    tests(of: "Plugin", uses: ["RoostPlugin", "PluginLoader", "TaskModel", "Article", "Command", "Digest", "Notify"]),
    tests(of: "HTTPServer", uses: ["HTTPServer", "HTTPClient", "TaskModel"]),
    tests(of: "TaskStore", uses: ["TaskStore", "Redis", "TaskModel"]),
    tests(of: "TaskHost", uses: ["TaskHost", "TaskStore", "Redis", "HTTPClient", "TaskModel"]),
    tests(of: "RoostCommand", uses: ["HTTPClient", "TaskModel"]),
  ],
  swiftLanguageModes: [.v6]
)
