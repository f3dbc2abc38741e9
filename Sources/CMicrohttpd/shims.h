// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CMICROHTTPD_SHIMS_H
#define ROOST_CMICROHTTPD_SHIMS_H
#include <microhttpd.h>
// Here, because the Glibc module has neither.
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// What a daemon calls, all on the thread that calls MHD_run and each with `context` first.
struct roost_mhd_callbacks {
  void *context;
  MHD_AccessHandlerCallback access;
  MHD_RequestCompletedCallback completed;
  MHD_NotifyConnectionCallback connection;
  void *(*request_line)(void *context, const char *uri, struct MHD_Connection *connection);
  size_t (*unescape)(void *context, struct MHD_Connection *connection, char *text);
};

/// Starts a daemon in external epoll mode that takes `listener` over; NULL when that failed, the listener still being
/// the caller's then. Needed because MHD_start_daemon is variadic.
static inline struct MHD_Daemon *roost_mhd_start(int listener, unsigned connections, size_t pool_bytes,
                                                 const struct roost_mhd_callbacks *callbacks) {
  return MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, callbacks->access, callbacks->context,
      MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      pool_bytes, MHD_OPTION_NOTIFY_COMPLETED, callbacks->completed, callbacks->context, MHD_OPTION_NOTIFY_CONNECTION,
      callbacks->connection, callbacks->context, MHD_OPTION_URI_LOG_CALLBACK, callbacks->request_line,
      callbacks->context, MHD_OPTION_UNESCAPE_CALLBACK, callbacks->unescape, callbacks->context,
      MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

/// The descriptor that becomes readable when MHD_run has work. Needed because MHD_get_daemon_info is variadic.
static inline int roost_mhd_epoll_descriptor(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
  return info ? info->epoll_fd : -1;
}

/// The client's socket. Needed because MHD_get_connection_info is variadic.
static inline int roost_mhd_socket(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info ? info->connect_fd : -1;
}

/// What the connection callback stored for this socket. Needed because MHD_get_connection_info is variadic.
static inline void *roost_mhd_socket_context(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

#endif
