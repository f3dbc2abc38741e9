// SPDX-License-Identifier: Apache-2.0
internal import TaskHost
internal import TaskStore

/// Every path of the API; a path in words stands before one with `{…}` that it fits too.
enum RouteTable {
  static func endpoints(
    _ store: TaskStore, _ status: HostStatus, _ waits: OpenWaits,
    reload: @escaping @Sendable () async throws(ReloadRefusal) -> ReloadReport
  ) -> [Endpoint] {
    [
      Endpoint("/v1/tasks", SubmitRoute.submit(store, waits), ListRoute.list(store)),
      Endpoint("/v1/tasks/batch", SubmitBatchRoute.submit(store)),
      Endpoint("/v1/tasks/retry", BulkRoutes.retry(store)),
      Endpoint("/v1/tasks/delete", BulkRoutes.delete(store)),
      Endpoint("/v1/tasks/status", BatchRoutes.statuses(store)),
      Endpoint("/v1/tasks/results", BatchRoutes.results(store)),
      Endpoint("/v1/tasks/{id}", TaskRoutes.record(store, waits), ActionRoutes.delete(store)),
      Endpoint("/v1/tasks/{id}/status", TaskRoutes.status(store), SettleRoutes.status(store)),
      Endpoint("/v1/tasks/{id}/result", TaskRoutes.result(store), SettleRoutes.result(store)),
      Endpoint("/v1/tasks/{id}/cancel", ActionRoutes.cancel(store)),
      Endpoint("/v1/tasks/{id}/retry", ActionRoutes.retry(store)),
      Endpoint("/v1/tasks/{id}/callback", ActionRoutes.callHandler(store)),
      Endpoint("/v1/types", TypeRoutes.all(store, status)),
      Endpoint("/v1/types/{type}", TypeRoutes.one(store, status)),
      Endpoint("/v1/types/{type}/pause", TypeRoutes.pause(store, status)),
      Endpoint("/v1/types/{type}/resume", TypeRoutes.resume(store, status)),
      Endpoint("/v1/schedules", ScheduleRoutes.all(store, status)),
      Endpoint("/v1/workers", WorkerRoutes.workers(store, status)),
      Endpoint("/v1/plugins", WorkerRoutes.plugins(status)),
      Endpoint("/v1/reload", ReloadRoute.reload(reload)),
      Endpoint("/healthz", HealthRoutes.alive()),
      Endpoint("/readyz", HealthRoutes.ready(status)),
    ]
  }
}
