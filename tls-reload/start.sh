# shellcheck shell=sh
# Prepares the start of pgpool with the module, for any POSIX shell. Part of the start script of a pod.
#
#   tls_reload MODULE SHA256 FOLDER VOLUME CERTIFICATE KEY [CA [CRL]]
#
#   MODULE, SHA256     the module and the hash that its content must have
#   FOLDER             an empty folder in memory in which programs may be executed and that no other container mounts
#   VOLUME, …          the mounted Secret and the names of the files in it
#
# It sets `reload` to the file that OPENSSL_CONF must name for pgpool alone, or to nothing, after a line on stderr that says why:
#
#   ${reload:+env "OPENSSL_CONF=$reload"} pgpool …
#
# It always succeeds: pgpool starts without the module too, and is then replaced when its certificate is renewed.

# OpenSSL's own file, whose settings stay in force: that of the user, else that of the image. Nothing, if there is none.
tls_reload_base() {
  if [ "${OPENSSL_CONF+set}" ]; then
    base=$OPENSSL_CONF
  else
    base=$(openssl version -d 2>/dev/null) && base=${base#*\"} && base=${base%\"*}/openssl.cnf || base=
    for it in /usr/lib/ssl /etc/pki/tls /etc/ssl /usr/local/ssl; do
      [ -e "${base:-/none/none}" ] || base=$it/openssl.cnf
    done
  fi
  [ -e "$base" ] || base=
}

# The section that the file names as `openssl_conf`, or nothing. The module must be listed in the same section: of two only one is
# read, and whatever the image has set in the other would be lost.
tls_reload_section() {
  blank=$(printf ' \t\r') inside=default section=
  while IFS= read -r line || [ "$line" ]; do
    line=${line#"${line%%[!"$blank"]*}"}
    case $line in
      '['*) inside=${line#'['} inside=${inside%%']'*} inside=${inside#"${inside%%[!"$blank"]*}"} inside=${inside%"${inside##*[!"$blank"]}"} ;;
      openssl_conf[="$blank"]*)
        line=${line#openssl_conf} line=${line#"${line%%[!"$blank"]*}"}
        case $inside$line in
          default=*) line=${line#=} line=${line%%'#'*} line=${line#"${line%%[!"$blank"]*}"} section=${line%"${line##*[!"$blank"]}"} ;;
        esac ;;
    esac
  done <"$1"
}

# Starts pgpool with settings with which it sets up TLS and then fails, because it cannot create its socket. The module tells that it
# was loaded; when it cannot be, nobody does. A module that ends the process or hangs does it here.
tls_reload_try() {
  none=$1/none
  printf '%s\n' 'ssl = on' "ssl_cert = '$none'" "ssl_key = '$none'" "listen_addresses = ''" "pcp_listen_addresses = ''" \
    "socket_dir = '$none'" "unix_socket_directories = '$none'" "pcp_socket_dir = '$none'" "logdir = '$1'" "work_dir = '$1'" \
    "pid_file_name = '$1/try.pid'" 'enable_pool_hba = off' "pool_passwd = ''" 'use_watchdog = off' 'num_init_children = 1' 'max_pool = 1' \
    'memory_cache_enabled = off' 'memqcache_total_size = 1048576' 'memqcache_max_num_cache = 1' 'memqcache_cache_block_size = 65536' \
    'memqcache_maxcache = 1024' \
    >"$1/try.conf"
  : >"$1/try.hba"
  env "OPENSSL_CONF=$1/openssl.cnf" pgpool -n -D -f "$1/try.conf" -a "$1/try.hba" -F "$1/try.hba" >"$1/try.log" 2>&1 &
  trial=$! turn=0
  while kill -0 "$trial" 2>/dev/null && [ "$turn" -lt 50 ]; do
    turn=$((turn + 1))
    sleep 0.1 2>/dev/null || { sleep 1; turn=$((turn + 9)); }
  done
  kill -9 "$trial" 2>/dev/null && loaded=hangs || loaded=
  wait "$trial" 2>/dev/null || : # It fails, with a code that means nothing: pgpool 4.3 can crash when it gives up.
  # Ready, and then a word from pgpool about the certificate that it lacks: it went on with the module.
  ready=
  while [ ! "$loaded" ] && IFS= read -r line; do
    case $ready$line in
      'tls-reload: ready'*) ready=yes ;;
      yes*) loaded=yes ;;
    esac
  done <"$1/try.log"
  rm -f "$1/try.conf" "$1/try.hba" "$1/try.log" "$1/try.pid" "$1/pgpool_status"
}

# Returns the reason why the module is not used, or nothing.
tls_reload_prepare() {
  [ -e "$1" ] || { why="$1 does not exist"; return; }
  rm -f "$3/tls-reload.so" "$3/openssl.cnf"
  cp "$1" "$3/tls-reload.so" 2>/dev/null || { why="$1 cannot be copied to $3"; return; }
  command -v sha256sum >/dev/null || { why='this image does not have the program sha256sum'; return; }
  sum=$(sha256sum <"$3/tls-reload.so")
  [ "${sum%% *}" = "$2" ] || { why="$1 is not the module that this pod was made for: its SHA-256 is ${sum%% *}"; return; }
  tls_reload_base
  section=
  case $base in
    '') ;;
    [!/]*|*[!A-Za-z0-9/._-]*) why="OPENSSL_CONF must be a path of letters, digits and /._- that starts with /"; return ;;
    *)
      [ -f "$base" ] && [ -r "$base" ] || { why="$base cannot be read"; return; }
      tls_reload_section "$base" ;;
  esac
  section=${section:-tls_reload_init}
  case $section in
    *[!A-Za-z0-9_.-]*) why="$base names the section \"$section\" as openssl_conf, which is not a plain name"; return ;;
  esac
  # The file of the image comes first, ours is the last of its section: what follows a module that fails is skipped. Nor may it fail
  # the other programs that pgpool starts (`config_diagnostics`).
  {
    printf '%s\n' "openssl_conf = $section"
    [ ! "$base" ] || printf '%s\n' ".include $base"
    printf '%s\n' '[default]' 'config_diagnostics = 0' "[$section]" 'tls_reload = tls_reload' '[tls_reload]' "path = $3/tls-reload.so" \
      "directory = $4" "certificate = $5" "key = $6"
    [ ! "${7-}" ] || printf '%s\n' "ca = $7"
    [ ! "${8-}" ] || printf '%s\n' "crl = $8"
  } >"$3/openssl.cnf" || { why="$3/openssl.cnf cannot be written"; return; }
  tls_reload_try "$3"
  case $loaded in
    yes) ;;
    hangs) why='the module did not start within 5 seconds' ;;
    *) why='OpenSSL of this image did not load the module' ;;
  esac
}

tls_reload() {
  why=
  tls_reload_prepare "$@"
  if [ "$why" ]; then
    rm -f "$3/tls-reload.so" "$3/openssl.cnf"
    echo "tls-reload: not used, so a renewed certificate replaces this pod: $why" >&2
    reload=
  else
    # shellcheck disable=SC2034 # For the script that this is a part of.
    reload=$3/openssl.cnf
  fi
}
