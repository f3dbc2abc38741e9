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

/// Keeps every symbol of a plugin but the entry to itself, so that two plugins in one process never meet.
let entryOnly: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/exports.map"])
]

/// A plugin: one folder in `Plugins/`, built as `lib<name>.so`.
func plugin(_ name: String, uses: [Target.Dependency] = ["RoostPlugin"]) -> Target {
  .target(
    name: name, dependencies: uses, path: "Plugins/\(name)", swiftSettings: strict, linkerSettings: entryOnly)
}

func cPlugin(_ name: String) -> Target {
  .target(
    name: name, dependencies: ["CRoost"], path: "Plugins/\(name)", cSettings: strictC, linkerSettings: entryOnly)
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
    .library(name: "Echo", type: .dynamic, targets: ["Echo"]),
    .library(name: "Notify", type: .dynamic, targets: ["Notify"]),
    .library(name: "Webhook", type: .dynamic, targets: ["Webhook"]),
  ],
  targets: [
    .executableTarget(
      name: "roost",
      dependencies: [
        "HTTPAPI", "HTTPServer", "TaskHost", "Worker", "PluginLoader", "PluginFiles", "Config", "HTTPClient",
        "TaskStore", "Redis", "CSystemShims",
        "TaskModel", "Threading", "Logging",
      ],
      swiftSettings: internalImports),
    part("HTTPAPI", uses: ["TaskHost", "TaskStore", "Config", "HTTPServer", "TaskModel", "Logging", "Threading"]),
    part(
      "TaskHost",
      uses: [
        "TaskStore", "Redis", "Config", "Schedules", "WorkerControl", "FlightBoard", "PluginFiles", "CSystemShims",
        "TaskModel", "Threading", "Logging",
      ]),
    part(
      "Worker",
      uses: [
        "TaskStore", "Redis", "WorkerControl", "FlightBoard", "PluginLoader", "PluginFiles", "CSystemShims",
        "TaskModel",
        "Threading", "Logging",
      ]),
    part("TaskStore", uses: ["Redis", "TaskModel", "Threading", "Logging"], resources: [.embedInCode("Scripts")]),
    part("PluginLoader", uses: ["PluginFiles", "CRoost", "TaskModel", "Logging", "Threading"]),
    part("PluginFiles", uses: ["CGnuTLS", "TaskModel"]),
    part("FlightBoard", uses: ["CSystemShims", "TaskModel"]),
    part("HTTPServer", uses: ["CMicrohttpd", "CSystemShims", "TaskModel", "Threading"]),
    part("HTTPClient", uses: ["CCurl", "TaskModel"]),
    part("Redis", uses: ["CHiredis", "CSystemShims", "TaskModel"]),
    part("Config", uses: ["Schedules", "TaskModel"]),
    part("Schedules", uses: ["TaskModel"]),
    part("WorkerControl", uses: ["TaskModel", "Threading"]),
    part("Threading", uses: ["CSystemShims"]),
    part("Logging", uses: ["CSystemShims", "TaskModel", "Threading"]),
    part("TaskModel", uses: []),

    .target(name: "RoostPlugin", dependencies: ["CRoost"], swiftSettings: internalImports),
    .target(name: "CRoost", cSettings: strictC),
    .target(name: "CSystemShims", cSettings: strictC),
    .systemLibrary(name: "CHiredis"),
    .systemLibrary(name: "CMicrohttpd"),
    .systemLibrary(name: "CCurl"),
    .systemLibrary(name: "CGnuTLS"),
    .systemLibrary(name: "CCommand", path: "Plugins/CCommand"),

    plugin("Article", uses: ["RoostPlugin", "PluginHTTP"]),
    plugin("Command", uses: ["RoostPlugin", "CCommand"]),
    plugin("Digest"),
    plugin("Webhook", uses: ["RoostPlugin", "PluginHTTP", "CGnuTLS"]),
    .target(
      name: "PluginHTTP", dependencies: ["RoostPlugin", "CCurl"], path: "Plugins/PluginHTTP", swiftSettings: strict),
    cPlugin("Echo"),
    cPlugin("Notify"),

    .target(
      name: "TestSupport", dependencies: ["TaskStore", "Redis", "TaskModel", "Threading", "CSystemShims"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    tests(of: "TaskModel", uses: ["TaskModel"]),
    tests(of: "Config", uses: ["Config", "Schedules", "TaskModel"]),
    tests(of: "Schedules", uses: ["Schedules", "TaskModel"]),
    tests(
      of: "PluginLoader", uses: ["PluginLoader", "PluginFiles", "CRoost", "TaskModel", "Logging", "Threading"],
      exclude: ["BadPlugins"]
    ),
    tests(of: "Plugin", uses: ["RoostPlugin", "PluginHTTP", "CRoost", "TaskModel", "Threading"]),
    tests(of: "HTTPServer", uses: ["HTTPServer", "TaskModel", "Threading"]),
    tests(of: "TaskStore", uses: ["TaskStore", "Redis", "TaskModel", "Threading"]),
    tests(
      of: "HTTPAPI",
      uses: ["HTTPAPI", "HTTPServer", "TaskHost", "Config", "TaskStore", "Redis", "TaskModel", "Threading"]),
    tests(of: "FlightBoard", uses: ["FlightBoard", "CSystemShims", "TaskModel"], exclude: ["Pilot"]),
    tests(
      of: "Worker",
      uses: ["Worker", "WorkerControl", "FlightBoard", "TaskStore", "Redis", "TaskModel", "Threading", "Logging"],
      exclude: ["TestPlugins"]),
    tests(
      of: "TaskHost",
      uses: [
        "TaskHost", "PluginFiles", "FlightBoard", "WorkerControl", "Config", "TaskStore", "Redis", "HTTPClient",
        "TaskModel", "Threading",
      ],
      exclude: ["TestPlugins", "BadPlugins"]),
    tests(of: "RoostCommand", uses: ["HTTPClient", "TaskModel", "Threading"]),
  ],
  swiftLanguageModes: [.v6]
)
