/* The figures of recorded machines, byte for byte (UPDATE=1 writes the files anew), and what odd machines make of them. */
#include "ingest/host/host_testing_priv.h"

#include <unistd.h>

#include "ingest/host/containers_priv.h"
#include "ingest/host/node_priv.h"
#include "os/thread.h"

#define NOW_NS (1700000123ll * 1000000000)

/* ---- recorded machines ------------------------------------------------------------------------------------------------- */

/* Any file system has the same space, but nas, which does not answer. */
static err fixed_space(const char *path, struct file_system *out) {
    if (strstr(path, "nas")) return err_new(ERR_IO, "no answer");
    *out = (struct file_system){1000000, 400000, 300000, 5000, 4000};
    return NULL;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lines in order, as folders are listed in any; without what differs from copy to copy of a tree. */
static void sort_lines(struct str text, struct buf *out) {
    VEC(char *) lines = {0};
    struct str line;
    while (take_line(&text, &line))
        if (!str_starts_with(line, STR("container_start_time_seconds{"))) *vec_push(&lines) = str_dup(line);
    qsort(lines.v, lines.n, sizeof *lines.v, compare);
    for (size_t i = 0; i < lines.n; i++) {
        buf_add_fmt(out, "%s\n", lines.v[i]);
        mem_free(lines.v[i]);
    }
    vec_done(&lines);
}

static void check_golden(const char *name, struct str text) {
    char path[4096];
    AUTO_BUF struct buf sorted, want = {0};
    buf_init(&sorted, 4 * MIB);
    sort_lines(text, &sorted);
    snprintf(path, sizeof path, "%s/%s.txt", GOLDEN_DIR, name);
    if (getenv("UPDATE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(sorted.p, 1, sorted.n, f), sorted.n);
        fclose(f);
    }
    err e = file_read_all(path, 4 * MIB, &want);
    if (e) fail_msg("%s: run with UPDATE=1", err_text(e));
    if (!str_equal(buf_str(&sorted), buf_str(&want))) fail_msg("%s differs:\n%s", path, sorted.p);
}

static void check_machine(const char *name) {
    char root[4096], file[64];
    struct node n;
    struct containers c;
    snprintf(root, sizeof root, "%s/%s", CORPUS_DIR, name);
    node_init(&n, root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    node_collect_wait(&n, NOW_NS);
    assert_true(check_text(buf_str(&n.expo.out)) > 20);
    snprintf(file, sizeof file, "%s-node", name);
    check_golden(file, buf_str(&n.expo.out));
    node_done(&n);
    containers_init(&c, root, 1000);
    containers_collect(&c, NOW_NS);
    assert_true(check_text(buf_str(&c.expo.out)) > 20);
    assert_true(str_contains(buf_str(&c.expo.out), STR("container_start_time_seconds{id=\"/\"} ")));
    snprintf(file, sizeof file, "%s-containers", name);
    check_golden(file, buf_str(&c.expo.out));
    containers_done(&c);
}

static void the_recorded_machine_with_version_1(void **state) {
    (void)state;
    check_machine("v1");
}
static void a_machine_with_version_2_and_systemd(void **state) {
    (void)state;
    check_machine("v2");
}

/* ---- odd ones -------------------------------------------------------------------------------------------------------------- */

static struct str collect(struct node *n) {
    expo_clear(&n->expo);
    node_collect_wait(n, NOW_NS);
    check_text(buf_str(&n->expo.out));
    return buf_str(&n->expo.out);
}

static void a_machine_without_anything_says_the_time(void **state) {
    struct node n;
    (void)state;
    root_make();
    node_init(&n, test_root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    assert_int_equal(check_text(collect(&n)), 1);
    check_line(collect(&n), "node_time_seconds 1700000123");
    node_done(&n);
    root_remove();
}

static void a_processor_that_goes_back_a_little_stays_and_far_begins_anew(void **state) {
    struct node n;
    (void)state;
    root_make();
    node_init(&n, test_root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    put_text("proc/stat", "cpu0 1000 0 500 9000 0\n");
    check_line(collect(&n), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 90");
    put_text("proc/stat", "cpu0 1001 0 500 8990 0\n");
    check_line(collect(&n), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 90");
    check_line(collect(&n), "node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 10.01");
    put_text("proc/stat", "cpu0 5 0 1 20 0\n");
    check_line(collect(&n), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 0.2");
    put_text("proc/stat", "cpu1 5 0 1 20 0\n"); /* the first is switched off */
    assert_false(has_line(collect(&n), "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 0.2"));
    node_done(&n);
    root_remove();
}

static void garbage_is_left_out(void **state) {
    static const char *const files[] = {"proc/stat",
                                        "proc/meminfo",
                                        "proc/vmstat",
                                        "proc/diskstats",
                                        "proc/net/dev",
                                        "proc/net/sockstat",
                                        "proc/net/netstat",
                                        "proc/net/snmp",
                                        "proc/net/snmp6",
                                        "proc/net/arp",
                                        "proc/net/udp",
                                        "proc/pressure/io",
                                        "proc/net/softnet_stat",
                                        "proc/1/mounts",
                                        "proc/loadavg",
                                        "etc/os-release",
                                        "proc/sys/fs/file-nr",
                                        "proc/sys/kernel/ostype",
                                        "proc/net/stat/nf_conntrack"};
    static const char *const texts[] = {"",
                                        "\n\n\n",
                                        "cpu",
                                        "cpu-1 1 2\ncpu99999999 1\ncpuNaN 1\ncpu1 -5 nan\n",
                                        "MemTotal: lots kB\n\"}\nEvil\"} 1: 5 kB\n\x01(\xff): 7\n",
                                        "8 0 a\"b\\c 1 2 3\n8 0 x\n",
                                        "eth\"0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n: 1 2\n",
                                        "Tcp: A B\nUdp: 1 2\n",
                                        "/dev/a /\\04 ext4\n/dev/b /x\\",
                                        "ID=\"\nNAME='\nVERSION_ID=..\n",
                                        "total=\nsome total=x\nfull total=99999999999999999999999\n"};
    struct node n;
    (void)state;
    root_make();
    node_init(&n, test_root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    for (size_t t = 0; t < LENGTH(texts); t++) {
        for (size_t f = 0; f < LENGTH(files); f++) put_text(files[f], texts[t]);
        collect(&n);
    }
    AUTO_FREE char *zeros = mem_new(MIB);
    for (size_t f = 0; f < LENGTH(files); f++) put_file(files[f], str_span(zeros, MIB));
    collect(&n);
    node_done(&n);
    root_remove();
}

static void names_with_quotes_and_lines_are_labels_like_others(void **state) {
    struct node n;
    (void)state;
    root_make();
    node_init(&n, test_root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    put_text("proc/1/mounts", "a\"b\\134 /mnt\\0402\\012} ext4 rw 0 0\n/dev/x /m\\012nt/\"\\040y ext4 ro 0 0\n");
    check_line(collect(&n),
               "node_filesystem_readonly{device=\"/dev/x\",fstype=\"ext4\",mountpoint=\"/m\\nnt/\\\" y\"} 1");
    check_line(collect(&n),
               "node_filesystem_readonly{device=\"a\\\"b\\\\\",fstype=\"ext4\",mountpoint=\"/mnt 2\\n}\"} 0");
    node_done(&n);
    root_remove();
}

static void mounts_as_clew_sees_them_do_not_say_who_may_write(void **state) {
    struct node n;
    (void)state;
    root_make();
    node_init(&n, test_root, mounts_new(fixed_space, MOUNT_WAIT_NS));
    put_text("proc/self/mounts", "/dev/x / ext4 ro 0 0\n");
    check_line(collect(&n), "node_filesystem_size_bytes{device=\"/dev/x\",fstype=\"ext4\",mountpoint=\"/\"} 1000000");
    assert_false(str_contains(collect(&n), STR("node_filesystem_readonly{")));
    node_done(&n);
    root_remove();
}

/* ---- mounts that hang --------------------------------------------------------------------------------------------------------- */

static struct {
    struct lock lock;
    struct signal_flag changed;
    bool dead;
    int asked;
} server;

#define HANGING_NS ((int64_t)200000000)
static err hanging(const char *path, struct file_system *out) {
    if (strstr(path, "dead")) {
        lock_take(&server.lock);
        server.asked++;
        while (server.dead) flag_wait(&server.changed, &server.lock);
        lock_give(&server.lock);
    }
    return fixed_space("", out);
}

static void a_dead_server_holds_up_one_round_and_is_asked_once(void **state) {
    struct node n;
    (void)state;
    root_make();
    server.dead = true;
    node_init(&n, test_root, mounts_new(hanging, HANGING_NS));
    put_text("proc/1/mounts", "nas:/x /dead nfs rw 0 0\n/dev/a /alive ext4 rw 0 0\n");
    for (int round = 0; round < 3; round++) {
        struct str text = collect(&n);
        check_line(text, "node_filesystem_device_error{device=\"nas:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 1");
        check_line(text, "node_filesystem_size_bytes{device=\"/dev/a\",fstype=\"ext4\",mountpoint=\"/alive\"} 1000000");
        assert_false(has_line(
            text, "node_filesystem_size_bytes{device=\"nas:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 1000000"));
    }
    lock_take(&server.lock);
    assert_int_equal(server.asked, 1);
    server.dead = false;
    flag_wake_all(&server.changed);
    lock_give(&server.lock);
    while (!has_line(collect(&n),
                     "node_filesystem_size_bytes{device=\"nas:/x\",fstype=\"nfs\",mountpoint=\"/dead\"} 1000000"))
        continue; /* until its helper has come back */
    node_done(&n);
    root_remove();
}

static void many_dead_servers_are_left_alone(void **state) {
    struct node n;
    AUTO_BUF struct buf mounts;
    (void)state;
    root_make();
    server.dead = true;
    server.asked = 0;
    buf_init(&mounts, MIB);
    for (int i = 0; i < 200; i++) buf_add_fmt(&mounts, "nas:/x /dead/%d nfs rw 0 0\n", i);
    put_file("proc/1/mounts", buf_str(&mounts));
    node_init(&n, test_root, mounts_new(hanging, HANGING_NS));
    collect(&n);
    collect(&n);
    lock_take(&server.lock);
    assert_int_equal(server.asked, MOUNTS_STUCK_MAX);
    server.dead = false;
    flag_wake_all(&server.changed);
    lock_give(&server.lock);
    while (str_contains(collect(&n), STR("mountpoint=\"/dead/199\"} 1\n"))) continue;
    node_done(&n);
    root_remove();
}

int main(void) {
    lock_init(&server.lock);
    flag_init(&server.changed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recorded_machine_with_version_1),
        cmocka_unit_test(a_machine_with_version_2_and_systemd),
        cmocka_unit_test(a_machine_without_anything_says_the_time),
        cmocka_unit_test(a_processor_that_goes_back_a_little_stays_and_far_begins_anew),
        cmocka_unit_test(garbage_is_left_out),
        cmocka_unit_test(names_with_quotes_and_lines_are_labels_like_others),
        cmocka_unit_test(mounts_as_clew_sees_them_do_not_say_who_may_write),
        cmocka_unit_test(a_dead_server_holds_up_one_round_and_is_asked_once),
        cmocka_unit_test(many_dead_servers_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
