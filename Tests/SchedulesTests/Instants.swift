// SPDX-License-Identifier: Apache-2.0
import Schedules
import TaskModel

/// Reads `2024-03-31T01:30Z`.
func instant(_ text: String) -> Timestamp {
  let numbers = text.split { !$0.isNumber }.compactMap { Int64($0) }
  precondition(numbers.count == 5, "\(text) is not YYYY-MM-DDTHH:MMZ")
  let day = CivilDate(year: numbers[0], month: Int(numbers[1]), day: Int(numbers[2])).dayNumber
  return Timestamp(millis: ((day * 24 + numbers[3]) * 60 + numbers[4]) * 60_000)
}

/// Writes the same; seconds only where there are some.
func text(_ time: Timestamp) -> String {
  let iso = time.iso8601
  return iso.hasSuffix(":00.000Z") ? "\(iso.prefix(16))Z" : iso
}

/// The next due times.
func due(_ cron: CronExpression, _ zone: TimeZoneRules, after start: String, count: Int) -> [String] {
  var found: [String] = []
  var time = instant(start)
  while found.count < count, let next = cron.next(after: time, in: zone) {
    found.append(text(next))
    time = next
  }
  return found
}
