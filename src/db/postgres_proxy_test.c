#include "db/postgres_proxy_priv.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "os/thread.h"

enum { PAIRS_MAX = 16 };

_Atomic(enum proxy_mood) proxy_mood;

static struct {
    int listening, to_port;
    struct thread *thread;
    atomic_bool ends;
    struct pair {
        int client, server; /* -1: none */
        bool deaf;          /* what the server says is lost, until it has said it */
    } pairs[PAIRS_MAX];
} proxy;

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void end_pair(struct pair *p) {
    close(p->client);
    close(p->server);
    p->client = p->server = -1;
}

static void take_client(void) {
    struct sockaddr_in to = loopback(proxy.to_port);
    int client = accept(proxy.listening, NULL, NULL), server = socket(AF_INET, SOCK_STREAM, 0);
    struct pair *p = proxy.pairs;
    while (p < proxy.pairs + PAIRS_MAX && p->client >= 0) p++;
    if (p == proxy.pairs + PAIRS_MAX || connect(server, (struct sockaddr *)&to, sizeof to)) {
        close(client);
        close(server);
        return;
    }
    *p = (struct pair){client, server, false};
}

static void pass(struct pair *p, bool from_client) {
    char bytes[64 << 10];
    ssize_t n = recv(from_client ? p->client : p->server, bytes, sizeof bytes, 0);
    bool commits = from_client && n > 0 && str_contains(str_span(bytes, (size_t)n), STR("COMMIT\0"));
    if (p->deaf && !from_client) {
        end_pair(p); /* the server has done it */
        return;
    }
    if (commits && proxy_mood == PROXY_CUT_BEFORE_COMMIT) n = 0, proxy_mood = PROXY_PASS;
    if (commits && proxy_mood == PROXY_CUT_AFTER_COMMIT) p->deaf = true, proxy_mood = PROXY_PASS;
    if (n > 0 && proxy_mood == PROXY_HANG) return;
    if (n <= 0 || send(from_client ? p->server : p->client, bytes, (size_t)n, MSG_NOSIGNAL) != n) end_pair(p);
}

static void run_proxy(void *context) {
    (void)context;
    while (!proxy.ends) {
        struct pollfd polled[1 + 2 * PAIRS_MAX] = {{proxy.listening, POLLIN, 0}};
        for (int i = 0; i < PAIRS_MAX; i++) {
            polled[1 + 2 * i] = (struct pollfd){proxy.pairs[i].client, POLLIN, 0};
            polled[2 + 2 * i] = (struct pollfd){proxy.pairs[i].server, POLLIN, 0};
        }
        poll(polled, LENGTH(polled), 20);
        for (int i = 0; i < PAIRS_MAX; i++)
            for (int k = 0; k < 2; k++)
                if (polled[1 + 2 * i + k].revents && proxy.pairs[i].client >= 0) pass(&proxy.pairs[i], k == 0);
        if (polled[0].revents) take_client();
    }
}

int proxy_start(int to_port) {
    struct sockaddr_in a = loopback(0);
    socklen_t n = sizeof a;
    proxy.to_port = to_port;
    proxy.ends = false;
    proxy_mood = PROXY_PASS;
    for (int i = 0; i < PAIRS_MAX; i++) proxy.pairs[i] = (struct pair){-1, -1, false};
    proxy.listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(proxy.listening, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(proxy.listening, 16), 0);
    assert_int_equal(getsockname(proxy.listening, (struct sockaddr *)&a, &n), 0);
    assert_null(thread_start(&proxy.thread, "proxy", 0, run_proxy, NULL));
    return ntohs(a.sin_port);
}

void proxy_stop(void) {
    proxy.ends = true;
    thread_join(proxy.thread);
    for (int i = 0; i < PAIRS_MAX; i++)
        if (proxy.pairs[i].client >= 0) end_pair(&proxy.pairs[i]);
    close(proxy.listening);
}
