// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CCURL_SHIMS_H
#define ROOST_CCURL_SHIMS_H
#include <curl/curl.h>

// Needed because curl_easy_setopt and curl_easy_getinfo are variadic, which Swift cannot call.
static inline CURLcode roost_curl_set_long(CURL *curl, CURLoption option, long value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode roost_curl_set_offset(CURL *curl, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode roost_curl_set_text(CURL *curl, CURLoption option, const char *value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode roost_curl_set_pointer(CURL *curl, CURLoption option, void *value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode roost_curl_set_list(CURL *curl, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(curl, option, value);
}
static inline CURLcode roost_curl_set_write(CURL *curl, CURLoption option,
                                            size_t (*function)(char *, size_t, size_t, void *)) {
  return curl_easy_setopt(curl, option, function);
}
static inline CURLcode roost_curl_set_open_socket(CURL *curl, curl_opensocket_callback function) {
  return curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, function);
}
static inline CURLcode roost_curl_get_long(CURL *curl, CURLINFO info, long *value) {
  return curl_easy_getinfo(curl, info, value);
}
#endif
