// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("Task ids")
struct TaskIDTests {
  @Test("An id is 32 lowercase hex digits and comes back from its text")
  func roundTrip() {
    let generator = TaskIDGenerator()
    for millis in [0, 1, 1_764_000_000_000, (1 << 48) - 1] as [Int64] {
      let id = generator.next(at: Timestamp(millis: millis), shard: 0xab)
      #expect(id.description.utf8.count == 32)
      #expect(TaskID(id.description) == id)
      #expect(Array(id.description.utf8) == id.utf8)
      var appended: [UInt8] = [1]
      id.append(to: &appended)
      #expect(appended == [1] + id.utf8)
    }
  }

  @Test("The layout is that of a UUIDv7 with the shard in the last two digits")
  func layout() {
    let id = TaskIDGenerator().next(at: Timestamp(millis: 0x0192_3456_789a), shard: 0x0f)
    let text = id.description
    #expect(text.hasPrefix("01923456789a7"))
    #expect("89ab".contains(Array(text)[16]))
    #expect(text.hasSuffix("0f"))
    #expect(id.shard == 15)
  }

  @Test("Ids of later milliseconds are greater, as values and as texts")
  func order() {
    let generator = TaskIDGenerator()
    let ids = (0..<10_000).map { generator.next(at: Timestamp(millis: 1_764_000_000_000 + Int64($0)), shard: 255) }
    #expect(ids == ids.sorted())
    let texts = ids.map(\.description)
    #expect(texts == texts.sorted())
  }

  @Test("Ids of one millisecond differ, from one generator and from many")
  func unique() {
    let time = Timestamp(millis: 1_764_000_000_000)
    let one = TaskIDGenerator()
    var ids = Set((0..<50_000).map { _ in one.next(at: time) })
    #expect(ids.count == 50_000)
    for _ in 0..<1000 { ids.insert(TaskIDGenerator().next(at: time)) }
    #expect(ids.count == 51_000)
  }

  @Test(
    "Anything but 32 lowercase hex digits is no id",
    arguments: [
      "", "0", String(repeating: "0", count: 31), String(repeating: "0", count: 33),
      String(repeating: "A", count: 32), String(repeating: "g", count: 32),
      "0192f0e4-0000-7000-8000-000000000000", String(repeating: "é", count: 16),
    ])
  func malformed(_ text: String) {
    #expect(TaskID(text) == nil)
  }
}
