"""collect_lint.py FILE CLEW: what deploy/docker/collect.yml or deploy/kubernetes/collect.yml says of `clew collect`, held against the program.
One line a finding, and status 1 if there is one. What they say is taken by a collector: it is started with the options, file and folder of each."""
import os, re, subprocess, sys, tempfile
import yaml

path, clew = sys.argv[1], os.path.realpath(sys.argv[2])
findings = []
find = findings.append
documents = list(yaml.safe_load_all(open(path)))
usage = subprocess.run([clew, 'collect', '--help'], capture_output=True, text=True, check=True).stdout
options = set(re.findall(r'^  --([a-z-]+)', usage, re.M))
ports = {name: re.search(rf'^  --{name} .*\(127\.0\.0\.1:(\d+)\)$', usage, re.M).group(1) for name in ('listen', 'otlp-http', 'otlp-grpc')}


def check_environment(environment, mounts, files):
    """Variables are options, addresses the default ports on all addresses, what is written and read is mounted; files: path: text or None."""
    for name in environment:
        if not name.startswith('CLEW_') or name[5:].lower().replace('_', '-') not in options:
            find(f'{name} is no option of clew collect')
    for option, port in ports.items():
        name = 'CLEW_' + option.upper().replace('-', '_')
        if environment.get(name) != f'0.0.0.0:{port}':
            find(f'{name} is not 0.0.0.0:{port}')
    if environment.get('CLEW_PLAIN_TEXT') != 'all' and 'CLEW_TLS_CERT' not in environment:
        find('it listens for other machines without TLS, nor the word that plain text will do')
    if not re.match(r'https?://', environment.get('CLEW_TO', '')):
        find('CLEW_TO is no address')
    if not any(environment.get('CLEW_DATA', '').startswith(m + '/') for m in mounts):
        find('CLEW_DATA is on no volume')
    for name in ('CLEW_CONFIG', 'CLEW_TOKEN_FILE'):
        if name in environment and environment[name] not in files:
            find(f'{name} names no file that is there')


def check_start(environment, files):
    """A collector takes it all: it says that it is ready, on free ports and with files of its own."""
    with tempfile.TemporaryDirectory(prefix='clew-deploy.') as work:
        e = {**environment, 'CLEW_DATA': work + '/queue', 'CLEW_LISTEN': '127.0.0.1:0', 'CLEW_OTLP_HTTP': '127.0.0.1:0', 'CLEW_OTLP_GRPC': '127.0.0.1:0'}
        for name in ('CLEW_CONFIG', 'CLEW_TOKEN_FILE'):
            if name in e:
                text = files.get(e[name])
                e[name] = f'{work}/{name}'
                open(e[name], 'w').write('clew_token' if text is None else text)
        child = subprocess.Popen([clew, 'collect', '--json'], env=e, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if '"ready":true' not in child.stdout.readline():
            find('it does not start: ' + child.stderr.read().strip())
        child.terminate()
        child.wait()


def check_health(url):
    if url != f"http://127.0.0.1:{ports['listen']}":
        find(f'the health check asks {url}')


def compose(document):
    service = document['services']['collect']
    if service['command'] != ['collect']:
        find('the command is not collect')
    environment = service['environment']
    volumes = [v.split(':') for v in service['volumes']]
    for name, _ in volumes:
        if name not in document['volumes']:
            find(f'volume {name} is not declared')
    files = {c['target']: document['configs'][c['source']]['content'] for c in service['configs']}
    check_environment(environment, [to for _, to in volumes], files)
    test = service['healthcheck']['test']
    if test[:3] != ['CMD', '/usr/bin/clew', 'health']:
        find('the health check is no command')
    check_health(test[-1])
    inner = {p.rsplit(':', 1)[1] for p in service['ports']}
    if inner != set(ports.values()) or not all(p.startswith('127.0.0.1:') for p in service['ports']):
        find('ports: the default ones, of this machine')
    if not service['read_only'] or service['cap_drop'] != ['ALL']:
        find('it may do more than it needs')
    host = re.match(r'https?://([^:/]+)', environment['CLEW_TO']).group(1)
    if host not in document['services']:
        find(f'CLEW_TO: there is no service {host}')
    check_start(environment, files)


def kubernetes(documents):
    of = {d['kind']: d for d in documents}
    pod = of['StatefulSet']['spec']['template']
    box = pod['spec']['containers'][0]
    environment = {e['name']: e['value'] for e in box['env']}
    mounts = {m['name']: m['mountPath'] for m in box['volumeMounts']}
    volumes = {v['name']: v for v in pod['spec']['volumes']}
    claims = {c['metadata']['name'] for c in of['StatefulSet']['spec']['volumeClaimTemplates']}
    if set(mounts) != set(volumes) | claims:
        find('what is mounted is not what there is')
    if volumes['config']['configMap']['name'] != of['ConfigMap']['metadata']['name']:
        find('the ConfigMap has another name')
    files = {f"{mounts['config']}/{name}": text for name, text in of['ConfigMap']['data'].items()}
    files[mounts['secret'] + '/token'] = None
    check_environment(environment, [mounts[c] for c in claims if c in mounts], files)
    named = {p['name']: str(p['containerPort']) for p in box['ports']}
    if named != {'otlp-http': ports['otlp-http'], 'otlp-grpc': ports['otlp-grpc'], 'metrics': ports['listen']}:
        find('ports: the default ones')
    for port in of['Service']['spec']['ports']:
        if named.get(port['targetPort']) != str(port['port']):
            find(f"the Service's port {port['name']} is another")
    labels = of['StatefulSet']['spec']['selector']['matchLabels']
    if labels != pod['metadata']['labels'] or labels != of['Service']['spec']['selector']:
        find('selectors and labels differ')
    for probe, at in (('readinessProbe', '/ready'), ('livenessProbe', '/health')):
        if box[probe]['httpGet'] != {'path': at, 'port': 'metrics'}:
            find(f'{probe} does not ask {at}')
    if pod['metadata']['annotations']['prometheus.io/port'] != ports['listen']:
        find('metrics are on another port')
    if not (pod['spec']['securityContext']['runAsNonRoot'] and box['securityContext']['readOnlyRootFilesystem'] and not box['securityContext']['allowPrivilegeEscalation']):
        find('it may do more than it needs')
    if pod['spec']['terminationGracePeriodSeconds'] < 20:
        find('it ends within 15 s: give it 20')
    if box['args'] != ['collect']:
        find('the command is not collect')
    check_start(environment, files)


try:
    compose(documents[0]) if 'services' in documents[0] else kubernetes(documents)
except (KeyError, TypeError, AttributeError, IndexError) as e:
    find(f'{type(e).__name__}: {e} is missing')
for f in findings:
    print(f'{path}: {f}')
sys.exit(1 if findings else 0)
