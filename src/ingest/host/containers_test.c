#include "ingest/host/host_testing_priv.h"

#include <unistd.h>

#include "ingest/host/containers_priv.h"

#define H16 "0123456789abcdef"
#define H64 H16 H16 H16 H16
#define NOW_NS (1700000123ll * 1000000000)

static void paths_say_what_is_a_container(void **state) {
    static const struct {
        const char *id, *name; /* NULL: none */
    } cases[] = {
        {"/docker/" H64, H64},
        {"/system.slice/docker-" H64 ".scope", H64},
        {"/kubepods/burstable/pod1-2/" H64, H64},
        {"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" H64 ".scope", H64},
        {"/kubepods.slice/kubepods-pod1.slice/crio-" H64 ".scope", H64},
        {"/machine.slice/libpod-" H64 ".scope", H64},
        {"/libpod_parent/libpod-" H64, H64},
        {"/lxc/web", "web"},
        {"/lxc.payload.web", "web"},
        {"/lxc.payload/web", "web"},
        {"/machine.slice/libpod-conmon-" H64 ".scope", NULL},
        {"/system.slice/docker.service", NULL},
        {"/docker", NULL},
        {"/docker/" H64 "/inner", NULL},
        {"/docker/" H16, NULL},
        {"/docker/" H64 "0", NULL},
        {"/system.slice/docker-" H16 H16 H16 "0123456789ABCDEF.scope", NULL},
        {"/lxc/web/inner", NULL},
        {"/lxc/", NULL},
        {"/lxc.payload.", NULL},
        {"/", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct str name = STR("");
        bool is = cgroup_is_container(str_of(cases[i].id), &name);
        if (is != (cases[i].name != NULL) || (is && !str_equal(name, str_of(cases[i].name))))
            fail_msg("%s: %d " STR_FMT, cases[i].id, is, STR_ARG(name));
    }
}

static struct str collect(struct containers *c) {
    expo_clear(&c->expo);
    containers_collect(c, NOW_NS);
    check_text(buf_str(&c->expo.out));
    return buf_str(&c->expo.out);
}

static void what_is_too_many_is_counted_and_containers_come_first(void **state) {
    struct containers c;
    char path[256];
    (void)state;
    root_make();
    put_text("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "sys/fs/cgroup/a.slice/%03d.service/cpu.stat", i);
        put_text(path, "usage_usec 1000000\n");
    }
    put_text("sys/fs/cgroup/z.slice/docker-" H64 ".scope/cpu.stat", "usage_usec 7000000\n");
    containers_init(&c, test_root, 50);
    struct str text = collect(&c);
    check_line(text, "clew_host_cgroups_left_out 154"); /* of 1 + 1 + 200 + 1 + 1 */
    check_line(text, "container_cpu_usage_seconds_total{id=\"/z.slice/docker-" H64 ".scope\",name=\"" H64
                     "\",cpu=\"total\"} 7");
    containers_done(&c);
    root_remove();
}

/* As many as a fork bomb of runtimes would leave: looked at up to a number, never kept. */
static void a_flood_of_groups_is_not_looked_at_to_its_end(void **state) {
    struct containers c;
    char path[256];
    (void)state;
    root_make();
    put_text("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof path, "%s/sys/fs/cgroup/g%d", test_root, i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    containers_init(&c, test_root, 10);
    c.seen_max = 100;
    check_line(collect(&c), "clew_host_cgroups_left_out 90");
    containers_done(&c);
    root_remove();
}

static void depth_has_an_end(void **state) {
    struct containers c;
    AUTO_BUF struct buf path;
    (void)state;
    root_make();
    buf_init(&path, 4000);
    buf_add_text(&path, "sys/fs/cgroup/");
    for (int i = 0; i < 60; i++) buf_add_text(&path, "d/");
    buf_add_text(&path, "cpu.stat");
    put_text("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    put_text(path.p, "usage_usec 1\n");
    containers_init(&c, test_root, 1000);
    check_line(collect(&c), "clew_host_cgroups_left_out 0");
    containers_done(&c);
    root_remove();
}

static void names_and_files_of_any_bytes(void **state) {
    static const char *const files[] = {"cpu.stat",    "cpu.max",       "cpu.weight",   "memory.current",
                                        "memory.stat", "memory.events", "cgroup.procs", "pids.max",
                                        "memory.max",  "pids.current",  "memory.peak",  "io.stat"};
    static const char *const texts[] = {"",
                                        "max",
                                        "-1",
                                        "nan\n",
                                        "anon\nfile x\ninactive_file 99999999999999\n",
                                        "usage_usec -5\nuser_usec 1 2 3\n",
                                        "\xff\"}\n1e999\n",
                                        "0x10",
                                        "8:0 rbytes=-1 wbytes= rios=1e9 =5 ==\n:: rbytes=1\n-1:0 rbytes=1\n8:0\n"
                                        "99999999999:1 rbytes=1\n"};
    struct containers c;
    char path[256];
    (void)state;
    root_make();
    put_text("sys/fs/cgroup/cgroup.controllers", "");
    put_text("var/lib/docker/containers/" H64 "/config.v2.json", "{\"Name\":\"/x\",\"Config\":{\"Image\":");
    containers_init(&c, test_root, 1000);
    for (size_t t = 0; t < LENGTH(texts); t++) {
        for (size_t f = 0; f < LENGTH(files); f++) {
            snprintf(path, sizeof path, "sys/fs/cgroup/a\"b\\c\n{}\xff/%s", files[f]);
            put_text(path, texts[t]);
            snprintf(path, sizeof path, "sys/fs/cgroup/docker-" H64 ".scope/%s", files[f]);
            put_text(path, texts[t]);
        }
        check_line(collect(&c), "container_last_seen{id=\"/a\\\"b\\\\c\\n{}\xef\xbf\xbd\"} 1700000123");
    }
    containers_done(&c);
    root_remove();
}

/* A group that was given thousands of loop devices, and a list of devices that says nothing. */
static void a_flood_of_disks_has_an_end(void **state) {
    struct containers c;
    AUTO_BUF struct buf text;
    (void)state;
    buf_init(&text, MIB);
    root_make();
    put_text("sys/fs/cgroup/cgroup.controllers", "io\n");
    for (int i = 0; i < 3000; i++) buf_add_fmt(&text, "7:%d rbytes=%d wbytes=0 rios=1 wios=0\n", i, i);
    put_file("sys/fs/cgroup/io.stat", buf_str(&text));
    put_text("proc/diskstats", "7 0\n7 x y\n7 1 loop\"1\\\n");
    containers_init(&c, test_root, 10);
    struct str out = collect(&c);
    check_line(out, "container_fs_reads_bytes_total{id=\"/\",device=\"7:0\"} 0");
    check_line(out, "container_fs_reads_bytes_total{id=\"/\",device=\"/dev/loop\\\"1\\\\\"} 1");
    check_line(out, "container_fs_reads_bytes_total{id=\"/\",device=\"7:15\"} 15");
    assert_false(has_line(out, "container_fs_reads_bytes_total{id=\"/\",device=\"7:16\"} 16"));
    containers_done(&c);
    root_remove();
}

static void without_control_groups_there_is_the_root_alone(void **state) {
    struct containers c;
    (void)state;
    root_make();
    containers_init(&c, test_root, 1000);
    check_line(collect(&c), "container_last_seen{id=\"/\"} 1700000123");
    containers_done(&c);
    root_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_say_what_is_a_container),
        cmocka_unit_test(what_is_too_many_is_counted_and_containers_come_first),
        cmocka_unit_test(a_flood_of_groups_is_not_looked_at_to_its_end),
        cmocka_unit_test(depth_has_an_end),
        cmocka_unit_test(names_and_files_of_any_bytes),
        cmocka_unit_test(a_flood_of_disks_has_an_end),
        cmocka_unit_test(without_control_groups_there_is_the_root_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
