/* Interfaces, sockets and protocols. */
#include <stdio.h>

#include "ingest/host/node_priv.h"
#include "os/machine.h"

/* ---- /proc/net/dev ---------------------------------------------------------------------------------------------------------- */

static const char *const device_columns[] = {
    "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed"};

struct device {
    char name[64];
    double values[LENGTH(device_columns)];
    size_t n;
};
typedef VEC(struct device) devices;

/* All but lo, as Debian's default of --collector.netdev.device-exclude. */
static void read_devices(struct node *n, devices *out) {
    struct str text, line, name;
    if (!tree_read(&n->tree, &text, "proc/net/dev")) return;
    while (out->n < NODE_DEVICES_MAX && take_line(&text, &line)) {
        struct device d = {0};
        if (!str_cut(line, ':', &name, &line)) continue;
        name = str_trim(name);
        if (!name.n || name.n >= sizeof d.name || str_equal(name, STR("lo"))) continue;
        memcpy(d.name, name.p, name.n);
        while (d.n < LENGTH(device_columns) && take_number(&line, &d.values[d.n])) d.n++;
        if (d.n == LENGTH(device_columns)) *vec_push(out) = d;
    }
}

void node_network(struct node *n) {
    devices all = {0};
    double value;
    read_devices(n, &all);
    for (size_t c = 0; all.n && c < LENGTH(device_columns); c++) {
        expo_family(&n->expo, "counter", "", "node_network_%s_total", device_columns[c]);
        for (size_t i = 0; i < all.n; i++) {
            expo_label(&n->expo, "device", str_of(all.v[i].name));
            expo_value(&n->expo, all.v[i].values[c]);
        }
    }
    expo_family(&n->expo, "counter", "", "node_network_receive_nohandler_total");
    for (size_t i = 0; i < all.n; i++) {
        if (!tree_number(&n->tree, &value, "sys/class/net/%s/statistics/rx_nohandler", all.v[i].name)) continue;
        expo_label(&n->expo, "device", str_of(all.v[i].name));
        expo_value(&n->expo, value);
    }
    vec_done(&all);
}

/* ---- /sys/class/net ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *file, *name, *type;
    double unit;
} interface_rows[] = {
    {"addr_assign_type", "address_assign_type", "gauge", 1},
    {"carrier", "carrier", "gauge", 1},
    {"carrier_changes", "carrier_changes_total", "counter", 1},
    {"carrier_up_count", "carrier_up_changes_total", "counter", 1},
    {"carrier_down_count", "carrier_down_changes_total", "counter", 1},
    {"dev_id", "device_id", "gauge", 1},
    {"dormant", "dormant", "gauge", 1},
    {"flags", "flags", "gauge", 1},
    {"ifindex", "iface_id", "gauge", 1},
    {"iflink", "iface_link", "gauge", 1},
    {"link_mode", "iface_link_mode", "gauge", 1},
    {"mtu", "mtu_bytes", "gauge", 1},
    {"name_assign_type", "name_assign_type", "gauge", 1},
    {"netdev_group", "net_dev_group", "gauge", 1},
    {"speed", "speed_bytes", "gauge", 125000}, /* of Mbit/s */
    {"tx_queue_len", "transmit_queue_length", "gauge", 1},
    {"type", "protocol_type", "gauge", 1},
};
static const struct {
    const char *label, *file; /* NULL: the name */
} interface_labels[] = {{"address", "address"}, {"broadcast", "broadcast"}, {"device", NULL},
                        {"duplex", "duplex"},   {"ifalias", "ifalias"},     {"operstate", "operstate"}};

struct interfaces {
    char names[NODE_DEVICES_MAX][64];
    size_t n;
};

static bool keep_interface(void *context, const char *name, bool is_dir) {
    struct interfaces *all = context;
    size_t size = strlen(name);
    (void)is_dir;
    if (size >= sizeof all->names[0]) return true;
    memcpy(all->names[all->n++], name, size + 1);
    return all->n < NODE_DEVICES_MAX;
}

static void put_states(struct node *n, const struct interfaces *all) {
    struct str text;
    expo_family(&n->expo, "gauge", "Value is 1 if operstate is 'up', 0 otherwise.", "node_network_up");
    for (size_t i = 0; i < all->n; i++) {
        if (!tree_read(&n->tree, &text, "sys/class/net/%s/operstate", all->names[i])) continue;
        expo_label(&n->expo, "device", str_of(all->names[i]));
        expo_value(&n->expo, str_equal(str_trim(text), STR("up")));
    }
    expo_family(&n->expo, "gauge", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
                "node_network_info");
    for (size_t i = 0; i < all->n; i++) {
        if (!tree_read(&n->tree, &text, "sys/class/net/%s/address", all->names[i])) continue;
        for (size_t l = 0; l < LENGTH(interface_labels); l++) {
            const char *file = interface_labels[l].file;
            bool there = file && tree_read(&n->tree, &text, "sys/class/net/%s/%s", all->names[i], file);
            expo_label(&n->expo, interface_labels[l].label,
                       there  ? str_trim(text)
                       : file ? STR("")
                              : str_of(all->names[i]));
        }
        expo_value(&n->expo, 1);
    }
}

void node_interfaces(struct node *n) {
    double value;
    if (!tree_path(&n->tree, "sys/class/net")) return;
    struct interfaces *all = mem_new_of(struct interfaces);
    err_free(dir_each(n->tree.path, keep_interface, all)); /* not there: no interfaces */
    for (size_t r = 0; all->n && r < LENGTH(interface_rows); r++) {
        expo_family(&n->expo, interface_rows[r].type, "", "node_network_%s", interface_rows[r].name);
        for (size_t i = 0; i < all->n; i++) {
            if (!tree_number(&n->tree, &value, "sys/class/net/%s/%s", all->names[i], interface_rows[r].file)) continue;
            expo_label(&n->expo, "device", str_of(all->names[i]));
            expo_value(&n->expo, value * interface_rows[r].unit);
        }
    }
    if (all->n) put_states(n, all);
    mem_free(all);
}

/* ---- sockets, neighbours, soft interrupts ------------------------------------------------------------------------------------------ */

#define PAGE_BYTES 4096.0

/* "TCP: inuse 7 orphan 0 mem 2" */
static void put_sockstat(struct node *n, const char *file) {
    struct str text, line, protocol, key;
    double value;
    if (!tree_read(&n->tree, &text, "proc/net/%s", file)) return;
    while (take_line(&text, &line)) {
        if (!str_cut(line, ':', &protocol, &line) || protocol.n > 32) continue;
        while (take_word(&line, &key) && key.n <= 32 && take_number(&line, &value)) {
            expo_family(&n->expo, "gauge", "", "node_sockstat_" STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(key));
            expo_value(&n->expo, value);
            if (!str_equal(key, STR("mem"))) continue;
            expo_family(&n->expo, "gauge", "", "node_sockstat_" STR_FMT "_mem_bytes", STR_ARG(protocol));
            expo_value(&n->expo, value * PAGE_BYTES);
        }
    }
}

static bool hex_number(struct str word, double *out) {
    char text[20] = "0x";
    if (!word.n || word.n > 16) return false;
    memcpy(text + 2, word.p, word.n);
    return word_number(str_span(text, word.n + 2), out);
}

static const struct {
    const char *name, *help;
} softnet_columns[] = {{"processed", "Number of processed packets"},
                       {"dropped", "Number of dropped packets"},
                       {"times_squeezed", "Number of times processing packets ran out of quota"}};

static void put_softnet(struct node *n) {
    struct str text, rest, line, word;
    double value = 0;
    if (!tree_read(&n->tree, &text, "proc/net/softnet_stat")) return;
    for (size_t c = 0; c < LENGTH(softnet_columns); c++) {
        size_t cpu = 0;
        expo_family(&n->expo, "counter", softnet_columns[c].help, "node_softnet_%s_total", softnet_columns[c].name);
        for (rest = text; cpu < NODE_CPUS_MAX && take_line(&rest, &line); cpu++) {
            bool good = true;
            char number[24];
            for (size_t k = 0; good && k <= c; k++) good = take_word(&line, &word) && hex_number(word, &value);
            if (!good) continue;
            snprintf(number, sizeof number, "%zu", cpu);
            expo_label(&n->expo, "cpu", str_of(number));
            expo_value(&n->expo, value);
        }
    }
}

/* How many entries each device has; a device stands in few lines of the table's or in many. */
static void put_neighbours(struct node *n) {
    struct {
        struct str name;
        double count;
    } found[64];
    struct str text, line, word;
    size_t count = 0, i;
    if (!tree_read(&n->tree, &text, "proc/net/arp")) return;
    take_line(&text, &line); /* the head */
    while (take_line(&text, &line)) {
        int words = 0;
        while (words < 6 && take_word(&line, &word)) words++;
        if (words < 6) continue;
        for (i = 0; i < count && !str_equal(found[i].name, word);) i++;
        if (i == LENGTH(found)) continue;
        if (i == count) {
            found[count].name = word;
            found[count++].count = 0;
        }
        found[i].count++;
    }
    expo_family(&n->expo, "gauge", "ARP entries by device", "node_arp_entries");
    for (i = 0; i < count; i++) {
        expo_label(&n->expo, "device", found[i].name);
        expo_value(&n->expo, found[i].count);
    }
}

/* Sums over processors of /proc/net/stat/nf_conntrack: names in the first line, hexadecimal numbers below. */
static void put_conntrack(struct node *n) {
    static const char *const told[] = {"found",         "invalid", "ignore",     "insert",
                                       "insert_failed", "drop",    "early_drop", "search_restart"};
    struct str text, rest, head, names, line, name, word;
    double value;
    if (!tree_read(&n->tree, &text, "proc/net/stat/nf_conntrack") || !take_line(&text, &head)) return;
    for (size_t i = 0; i < LENGTH(told); i++) {
        double sum = 0;
        bool found = false;
        for (rest = text; take_line(&rest, &line);)
            for (names = head; take_word(&names, &name) && take_word(&line, &word);)
                if (str_equal(name, str_of(told[i])) && hex_number(word, &value)) {
                    found = true;
                    sum += value;
                }
        if (!found) continue;
        expo_family(&n->expo, "gauge", "", "node_nf_conntrack_stat_%s", told[i]);
        expo_value(&n->expo, sum);
    }
}

/* What waits in all sockets of UDP: tx_queue:rx_queue of each line. */
static bool sum_queues(struct node *n, const char *file, double *out_rx, double *out_tx) {
    struct str text, line, word, tx, rx;
    double value;
    *out_rx = *out_tx = 0;
    if (!tree_read(&n->tree, &text, "proc/net/%s", file)) return false;
    take_line(&text, &line); /* the head */
    while (take_line(&text, &line)) {
        int words = 0;
        while (words < 5 && take_word(&line, &word)) words++;
        if (words < 5 || !str_cut(word, ':', &tx, &rx)) continue;
        if (hex_number(tx, &value)) *out_tx += value;
        if (hex_number(rx, &value)) *out_rx += value;
    }
    return true;
}

static void put_queues(struct node *n) {
    static const struct { const char *file, *ip; } rows[] = {{"udp", "v4"}, {"udp6", "v6"}};
    double rx, tx;
    expo_family(&n->expo, "gauge", "Number of allocated memory in the kernel for UDP datagrams in bytes.",
                "node_udp_queues");
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (!sum_queues(n, rows[i].file, &rx, &tx)) continue;
        expo_label(&n->expo, "ip", str_of(rows[i].ip));
        expo_label(&n->expo, "queue", STR("rx"));
        expo_value(&n->expo, rx);
        expo_label(&n->expo, "ip", str_of(rows[i].ip));
        expo_label(&n->expo, "queue", STR("tx"));
        expo_value(&n->expo, tx);
    }
}

void node_sockets(struct node *n) {
    put_conntrack(n);
    put_queues(n);
    put_sockstat(n, "sockstat");
    put_sockstat(n, "sockstat6");
    put_softnet(n);
    put_neighbours(n);
}

/* ---- protocols ------------------------------------------------------------------------------------------------------------------------- */

/* As the default of --collector.netstat.fields. */
static bool protocol_is_told(struct str protocol, struct str key) {
    static const char *const told[] = {
        "Ip_Forwarding",      "Ip6_InOctets",      "Ip6_OutOctets",    "IpExt_InOctets",   "IpExt_OutOctets",
        "Icmp_InMsgs",        "Icmp_OutMsgs",      "Icmp6_InMsgs",     "Icmp6_OutMsgs",    "TcpExt_TCPSynRetrans",
        "TcpExt_TCPTimeouts", "Tcp_ActiveOpens",   "Tcp_InSegs",       "Tcp_OutSegs",      "Tcp_OutRsts",
        "Tcp_PassiveOpens",   "Tcp_RetransSegs",   "Tcp_CurrEstab",    "Udp_InDatagrams",  "Udp_OutDatagrams",
        "Udp_NoPorts",        "Udp_RcvbufErrors",  "Udp_SndbufErrors", "Udp6_InDatagrams", "Udp6_OutDatagrams",
        "Udp6_NoPorts",       "Udp6_RcvbufErrors", "Udp6_SndbufErrors"};
    if (str_equal(key, STR("InErrors")) || str_equal(key, STR("InErrs"))) return true;
    if (str_equal(protocol, STR("TcpExt")) &&
        (str_starts_with(key, STR("Listen")) || str_starts_with(key, STR("Syncookies"))))
        return true;
    for (size_t i = 0; i < LENGTH(told); i++) {
        struct str t = str_of(told[i]);
        if (t.n == protocol.n + 1 + key.n && str_starts_with(t, protocol) && t.p[protocol.n] == '_' &&
            str_ends_with(t, key))
            return true;
    }
    return false;
}

static void put_protocol(struct node *n, struct str protocol, struct str key, double value) {
    if (protocol.n > 64 || key.n > 64 || !protocol_is_told(protocol, key)) return;
    expo_family(&n->expo, "untyped", "", "node_netstat_" STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(key));
    expo_value(&n->expo, value);
}

/* Pairs of lines: "Tcp: ActiveOpens …" and "Tcp: 17 …". */
static void put_netstat(struct node *n, const char *file) {
    struct str text, names, values, protocol, same, key;
    double value;
    if (!tree_read(&n->tree, &text, "proc/net/%s", file)) return;
    while (take_line(&text, &names) && take_line(&text, &values)) {
        if (!str_cut(names, ':', &protocol, &names) || !str_cut(values, ':', &same, &values) ||
            !str_equal(protocol, same))
            return;
        while (take_word(&names, &key) && take_number(&values, &value)) put_protocol(n, protocol, key, value);
    }
}

/* "Ip6InReceives 12": the protocol ends at the 6. */
static void put_snmp6(struct node *n) {
    struct str text, line, word;
    double value;
    if (!tree_read(&n->tree, &text, "proc/net/snmp6")) return;
    while (take_line(&text, &line)) {
        if (!take_word(&line, &word) || !take_number(&line, &value)) continue;
        ptrdiff_t six = str_find(word, '6');
        if (six < 0) continue;
        size_t head = (size_t)six + 1;
        put_protocol(n, str_span(word.p, head), str_span(word.p + head, word.n - head), value);
    }
}

void node_protocols(struct node *n) {
    put_netstat(n, "netstat");
    put_netstat(n, "snmp");
    put_snmp6(n);
}
