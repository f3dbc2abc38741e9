// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import Testing

@Suite("A task that was to be started by a time")
struct ExpiryTests {
  @Test("After it the worker that takes it ends it, at no attempt, and no code runs")
  func late() async throws {
    let worker = try WorkerFixture()
    var submission = Submission(type: "echo", params: [UInt8]("1".utf8))
    submission.expires = .at(Timestamp(millis: 1000))
    let late = try #require(try await worker.final(worker.store.submit(submission).id))
    #expect(late.status == .failed)
    #expect(late.attempts == 0 && late.startedAt == nil)
    #expect(String(decoding: late.error ?? [], as: UTF8.self).contains("\"kind\":\"expired\""))
    #expect(worker.journal == [])
    try worker.leavesNothingBehind()
  }

  @Test("Before it the task runs")
  func inTime() async throws {
    let worker = try WorkerFixture()
    var submission = Submission(type: "echo", params: [UInt8]("1".utf8))
    submission.expires = .after(.seconds(3600))
    #expect(try await worker.final(worker.store.submit(submission).id)?.status == .completed)
  }
}
