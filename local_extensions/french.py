"""The French of every short text, by the English text.

Typed with ordinary spaces and apostrophes: `translations.french_typography` sets the French ones.
Brackets like {limit} and %s stay as they are.
"""

FRENCH: dict[str, str] = {
    # Questions
    "Language of the site, of its README and of its messages": (
        "Langue du site, de son README et de ses messages"
    ),
    "Name of the site, as people read it": "Nom du site, tel qu'on le lit",
    "Name of its Python package (small letters, digits, _)": (
        "Nom de son paquet Python (minuscules sans accent, chiffres, _)"
    ),
    "What the site is for, in one sentence": "À quoi sert le site, en une phrase",
    "Your name": "Votre nom",
    "Your e-mail address": "Votre adresse électronique",
    "Host name under which the site will be reached": "Nom d'hôte sous lequel on atteindra le site",
    "Time zone (UTC, Europe/Paris, ...)": "Fuseau horaire (UTC, Europe/Paris, ...)",
    "Database of the site": "Base de données du site",
    "SQLite: a file, nothing to install": "SQLite : un fichier, rien à installer",
    "PostgreSQL: a server, for many writers at once": (
        "PostgreSQL : un serveur, pour beaucoup d'écritures à la fois"
    ),
    "Tasks beside the pages": "Tâches à côté des pages",
    "None": "Aucune",
    "Celery: mails and whatever takes long, with a Redis of the site's own": (
        "Celery : les courriels et tout ce qui dure, avec un Redis propre au site"
    ),
    "Address and port of gunicorn": "Adresse et port de gunicorn",
    "Address and port of supervisord's web interface, or off": (
        "Adresse et port de l'interface web de supervisord, ou off"
    ),
    "Folder of the site on the server": "Dossier du site sur le serveur",
    "User that runs the site on the server": "Utilisateur qui fait tourner le site sur le serveur",
    # Answers: defaults
    "My site": "Mon site",
    "A Django site served by gunicorn under supervisord": (
        "Un site Django servi par gunicorn sous supervisord"
    ),
    "The webmaster": "L'équipe du site",
    # Answers: refusals
    "No project was made, because of these answers:": (
        "Aucun projet n'a été créé, à cause de ces réponses :"
    ),
    "For example: {example}": "Par exemple : {example}",
    "To run it again with the suggestions and your other answers:": (
        "Pour recommencer avec les suggestions et vos autres réponses :"
    ),
    "Write your answer behind: {names}": "Écrivez votre réponse après : {names}",
    "{name} is no answer of this template; they are: {names}.": (
        "{name} n'est pas une réponse de ce modèle ; ce sont : {names}."
    ),
    "The answer is missing, or is not a text.": "La réponse manque, ou n'est pas un texte.",
    "The languages are en (English) and fr (French).": (
        "Les langues sont en (anglais) et fr (français)."
    ),
    "Write a letter from a to z, then at most 39 small letters, digits or _.": (
        "Écrivez une lettre de a à z, puis au plus 39 minuscules sans accent, chiffres ou _."
    ),
    "This is a word of the Python language; take another.": (
        "C'est un mot du langage Python ; prenez-en un autre."
    ),
    "A Python module of this name exists already and would be hidden.": (
        "Un module Python porte déjà ce nom et serait masqué."
    ),
    "Windows reserves this name for a device.": "Windows réserve ce nom à un périphérique.",
    "Write a text that neither starts nor ends with a space.": (
        "Écrivez un texte qui ne commence ni ne finit par une espace."
    ),
    "It has {length} characters; at most {limit} fit.": (
        "Elle compte {length} caractères ; {limit} au plus sont admis."
    ),
    "The invisible character {code} cannot be used.": (
        "Le caractère invisible {code} n'est pas admis."
    ),
    "{{{{, {{% and {{# belong to the templates and cannot be used.": (
        "{{{{, {{% et {{# sont réservés aux gabarits et ne sont pas admis."
    ),
    "Write one address, as name@domain.": "Écrivez une seule adresse, sous la forme nom@domaine.",
    "Write a host name alone, without http://, port or path.": (
        "Écrivez un nom d'hôte seul, sans http:// ni port ni chemin."
    ),
    "The tz database has no such zone.": "La base tz ne connaît pas ce fuseau horaire.",
    "This is an old name, which Debian 13 no longer knows.": (
        "C'est un ancien nom, que Debian 13 ne connaît plus."
    ),
    "supervisord binds IPv4 addresses only.": "supervisord n'écoute que sur des adresses IPv4.",
    "The databases are sqlite and postgresql.": "Les bases de données sont sqlite et postgresql.",
    "The tasks are none or celery.": "Les tâches sont none ou celery.",
    "Write an IPv4 address, a colon and a port.": (
        "Écrivez une adresse IPv4, un deux-points et un port."
    ),
    "{host} is not an IPv4 address.": "{host} n'est pas une adresse IPv4.",
    "The port must lie between 1024 and 65535.": "Le port doit être compris entre 1024 et 65535.",
    "No machine can have the address {host}.": "Aucune machine ne peut avoir l'adresse {host}.",
    "Whoever reaches the web interface can stop the site: give it a loopback or private address, or"
    " off.": (
        "Quiconque atteint l'interface web peut arrêter le site : donnez-lui une adresse locale ou"
        " privée, ou off."
    ),
    "bind has this address and port already; take another port.": (
        "bind occupe déjà cette adresse et ce port ; prenez un autre port."
    ),
    "Write an absolute path of letters, digits and . _ - without .. or a final /.": (
        "Écrivez un chemin absolu fait de lettres sans accent, de chiffres et de . _ - sans .. ni /"
        " final."
    ),
    "It has {length} characters; at most {limit} leave room for the UNIX socket.": (
        "Elle compte {length} caractères ; {limit} au plus laissent sa place à la socket UNIX."
    ),
    "This folder belongs to the system; take one below /srv, say.": (
        "Ce dossier appartient au système ; prenez-en un sous /srv, par exemple."
    ),
    "Write a user name: small letters, digits, - and _.": (
        "Écrivez un nom d'utilisateur : minuscules sans accent, chiffres, - et _."
    ),
    "A web site must not run as root: who breaks in owns the machine.": (
        "Un site web ne doit pas tourner en root : qui y pénètre possède la machine."
    ),
    # What the answers gave on this machine
    "supervisord cannot work below {folder}, for the character {character}: generate the project in"
    " a folder whose path is without it.": (
        "supervisord ne peut pas travailler sous {folder}, à cause du caractère {character} :"
        " générez le projet dans un dossier dont le chemin ne l'a pas."
    ),
    "The UNIX socket {path} would have {length} bytes and the system takes {limit}: generate the"
    " project in a folder with a shorter path.": (
        "La socket UNIX {path} compterait {length} octets et le système en admet {limit} : générez"
        " le projet dans un dossier au chemin plus court."
    ),
    "The template has the line endings of Windows (CRLF), and no shell runs such scripts: git"
    " config --global core.autocrlf input, then clone it again.": (
        "Le modèle a les fins de ligne de Windows (CRLF), et aucun shell ne lance de tels scripts :"
        " git config --global core.autocrlf input, puis clonez-le de nouveau."
    ),
    "Warning: something already listens on {address} of this machine.": (
        "Attention : un programme écoute déjà sur {address} de cette machine."
    ),
    # script/demo
    "{argument} is no answer. Write NAME=VALUE, or stop; the names are: {names}.": (
        "{argument} n'est pas une réponse. Écrivez NOM=VALEUR, ou stop ; les noms sont : {names}."
    ),
    "No demo runs.": "Aucune démonstration ne tourne.",
    "Stopping {project} ": "Arrêt de {project} ",
    "supervisord (process {pid}) still runs after {seconds} s: kill -9 {pid} ends it.": (
        "supervisord (processus {pid}) tourne encore après {seconds} s : kill -9 {pid} y met fin."
    ),
    "{address} is taken; the demo uses {wanted}.": (
        "{address} est occupé ; la démonstration prend {wanted}."
    ),
    "Waiting for http://{address}/ ": "Attente de http://{address}/ ",
    "It did not answer in {seconds} s.": "Pas de réponse en {seconds} s.",
    "A demo runs already, in {project}: script/demo stop ends it.": (
        "Une démonstration tourne déjà, dans {project} : script/demo stop l'arrête."
    ),
    "The site answers at http://{address}/": "Le site répond à http://{address}/",
    "Look:  cd {project} && venv/bin/supervisorctl status": (
        "Le regarder :  cd {project} && venv/bin/supervisorctl status"
    ),
    "Stop:  script/demo stop": "L'arrêter :  script/demo stop",
    # .env.example
    "Settings of this machine. bootstrap.sh copies this file to .env, with a secret key of its own;"
    " .env stays out of git. Restart the site after a change.": (
        "Les réglages de cette machine. bootstrap.sh copie ce fichier dans .env, avec une clé"
        " secrète propre ; .env reste hors de git. Redémarrez le site après un changement."
    ),
    "Signs the sessions. Whoever knows it can log in as anybody. To make one: openssl rand -hex"
    " 32": (
        "Signe les sessions. Qui la connaît peut se connecter au nom de n'importe qui. Pour en"
        " créer une : openssl rand -hex 32"
    ),
    "on shows every error with the code around it: never on a server.": (
        "on montre chaque erreur avec le code qui l'entoure : jamais sur un serveur."
    ),
    "on where visitors come by https, through a proxy: cookies travel by https alone, http is"
    " redirected. off on a laptop.": (
        "on là où les visiteurs arrivent en https, par un proxy : les cookies ne voyagent qu'en"
        " https, http est redirigé. off sur un poste de travail."
    ),
    "Names under which the site answers": "Les noms auxquels le site répond",
    "The database. As bootstrap.sh writes it: one of this machine's PostgreSQL, by its UNIX "
    "socket, without a password. On another host: "
    "postgresql://USER:PASSWORD@HOST/NAME?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt, with %40 "
    "for @ and the like in USER and PASSWORD.": (
        "La base de données. Telle que bootstrap.sh l'écrit : une base du PostgreSQL de cette "
        "machine, par sa socket UNIX, sans mot de passe. Sur un autre hôte : "
        "postgresql://UTILISATEUR:MOT_DE_PASSE@HOTE/BASE?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt, "
        "avec %40 pour @, et ainsi de suite, dans UTILISATEUR et MOT_DE_PASSE."
    ),
    "The broker of the tasks, where it is another one than the site's own Redis: "
    "rediss://USER:PASSWORD@HOST:6380/0, with a number of its own behind the last / for each "
    "site.": (
        "Le courtier des tâches, si c'est un autre que le Redis propre au site : "
        "rediss://UTILISATEUR:MOT_DE_PASSE@HOTE:6380/0, avec derrière le dernier / un nombre "
        "propre à chaque site."
    ),
    "How mails leave the site. consolemail:// prints them to the log. On a server: "
    "smtp+tls://USER:PASSWORD@smtp.example.org:587, with %40 for @ and the like in USER and "
    "PASSWORD.": (
        "Par où partent les courriels du site. consolemail:// les écrit dans le journal. Sur un "
        "serveur : smtp+tls://USER:PASSWORD@smtp.example.org:587, avec %40 pour @, et ainsi de "
        "suite, dans USER et PASSWORD."
    ),
    "Who is told of errors, of what dies, and of a copy that fails: addresses, with a comma "
    "between": (
        "Qui est averti des erreurs, de ce qui meurt et d'une copie qui échoue : des adresses, "
        "séparées par des virgules"
    ),
    "From whom the mails of the site come": "L'expéditeur des courriels du site",
    # .gitattributes
    "A shell runs no script whose lines end as those of Windows.": (
        "Aucun shell ne lance un script dont les lignes finissent comme sous Windows."
    ),
    # .github/dependabot.yml
    # .github/dependabot.yml
    "Each week, GitHub's Dependabot proposes newer packages. Its locks may hold for one Python alone: before you merge, run ./packages.sh on its branch.": "Chaque semaine, Dependabot de GitHub propose des paquets plus récents. Ses listes peuvent ne valoir que pour un Python : avant d'accepter, lancez ./packages.sh sur sa branche.",
    # .github/workflows/check.yml
    "GitHub runs it at each push and each pull request.": (
        "GitHub le lance à chaque push et à chaque pull request."
    ),
    "It reads the code, and changes nothing.": "Il lit le code, et n'y change rien.",
    # .gitignore
    "Secrets, those of other machines too; bootstrap.sh writes those of this one": (
        "Les secrets, ceux d'autres machines compris ; bootstrap.sh écrit ceux de celle-ci"
    ),
    "Ports of this machine alone: ./bootstrap.sh --port": (
        "Les ports propres à cette machine : ./bootstrap.sh --port"
    ),
    "Made by bootstrap.sh and by the running site": (
        "Créés par bootstrap.sh et par le site en marche"
    ),
    "Data, which has its own way from one machine to another": (
        "Des données, qui voyagent autrement d'une machine à l'autre"
    ),
    "Packages, which each machine installs for itself": (
        "Des paquets, que chaque machine installe pour elle-même"
    ),
    # .gitlab-ci.yml
    "GitLab runs it at each push.": "GitLab le lance à chaque push.",
    # accounts/admin.py
    "Who may log in, in the administration.": "Qui peut se connecter, dans l'administration.",
    # accounts/apps.py
    "The app of those who log in.": "L'application de ceux qui se connectent.",
    "Accounts": "Comptes",
    "One line, with the address of who tried.": "Une ligne, avec l'adresse de qui a essayé.",
    "As JSON, what was typed can neither end the line nor give orders to a terminal.": (
        "En JSON, ce qui a été tapé ne peut ni clore la ligne ni donner d'ordre à un terminal."
    ),
    "Failed login from %s as %s": "Connexion refusée depuis %s sous le nom %s",
    "Before a migration: a site that is older than this app has its users in Django's own table.": "Avant une migration : un site plus ancien que cette application a ses utilisateurs dans la table de Django.",
    "The users of this site are in the table auth_user, and its code looks for them in accounts_user.": "Les utilisateurs de ce site sont dans la table auth_user, et son code les cherche dans accounts_user.",
    "Move them first: https://github.com/org/django-gunicorn-supervisor/blob/main/UPGRADING.md says how. Until then, the code before the update goes on serving.": "Déplacez-les d'abord : https://github.com/org/django-gunicorn-supervisor/blob/main/UPGRADING.fr.md dit comment. D'ici là, le code d'avant la mise à jour continue de servir.",
    # accounts/models.py
    "Who may log in.": "Qui peut se connecter.",
    (
        "Django's own user, to which fields can be added: once there are tables, it is late to "
        "begin with one."
    ): (
        "L'utilisateur de Django, auquel on peut ajouter des champs : quand les tables existent, "
        "il est tard pour en changer."
    ),
    # accounts/tests.py
    "Tests of those who log in.": "Tests de ceux qui se connectent.",
    # bootstrap.sh
    "Sets the site up: venv, requirements, secrets, database, static files. Run it again whenever"
    " you like: it does only what is missing.": (
        "Met le site en place : venv, dépendances, secrets, base de données, fichiers statiques."
        " Relancez-le quand vous voulez : il ne fait que ce qui manque."
    ),
    # check.sh
    "Checks the whole project, as each push does (.github/workflows/check.yml, "
    ".gitlab-ci.yml). The first error ends it.": (
        "Vérifie tout le projet, comme le fait chaque push (.github/workflows/check.yml, "
        ".gitlab-ci.yml). La première erreur y met fin."
    ),
    "ruff is missing in the venv: ./bootstrap.sh --dev adds it.": (
        "ruff manque dans le venv : ./bootstrap.sh --dev l'y ajoute."
    ),
    "Each command is shown.": "Chaque commande s'affiche.",
    # deploy/ansible/ansible.cfg
    "How deploy/servers.sh uses Ansible; what the user's own ansible.cfg says does not count here.": "Comment deploy/servers.sh se sert d'Ansible ; l'ansible.cfg de l'utilisateur ne compte pas ici.",
    "lines.py shows what happens, in the site's language": "lines.py montre ce qui se passe, dans la langue du site",
    "One server after the other: what each says stays together": "Un serveur après l'autre : ce que dit chacun reste ensemble",
    "Debian's, the one that runs the site": "Celui de Debian, qui fait tourner le site",
    "Fewer connections, and one for all steps; a server that has gone is noticed within a minute": "Moins de connexions, et une seule pour toutes les étapes ; un serveur disparu se remarque en une minute",
    # deploy/ansible/lines.py
    "What Ansible shows: a line for each step, what the server says, and a sentence for what fails.": "Ce qu'Ansible montre : une ligne par étape, ce que dit le serveur, et une phrase pour ce qui échoue.",
    "What Ansible, ssh or sudo say, and what it means. The first that fits counts.": "Ce que disent Ansible, ssh ou sudo, et ce que cela veut dire. Le premier qui convient compte.",
    "its host key has changed: is it a new machine, or somebody else's? If it is yours: ssh-keygen -R {host}": "sa clé d'hôte a changé : est-ce une nouvelle machine, ou celle d'un autre ? Si c'est la vôtre : ssh-keygen -R {host}",
    "its host key is unknown here: connect once (ssh {host}), and compare what it shows.": "sa clé d'hôte est inconnue ici : connectez-vous une fois (ssh {host}), et comparez ce qui s'affiche.",
    "ssh lets nobody in with your keys: ssh-copy-id {host}, or name the user in deploy/inventory.ini (ansible_user=debian).": "ssh n'y laisse entrer personne avec vos clés : ssh-copy-id {host}, ou nommez l'utilisateur dans deploy/inventory.ini (ansible_user=debian).",
    "sudo wants the right password there: deploy/servers.sh --ask-become-pass, before the command.": "sudo y veut le bon mot de passe : deploy/servers.sh --ask-become-pass, devant la commande.",
    "this user may not use sudo there: have it added to the group sudo.": "cet utilisateur n'y a pas droit à sudo : faites-le ajouter au groupe sudo.",
    "sudo is missing there: apt install sudo, or come as root (ansible_user=root in deploy/inventory.ini).": "sudo y manque : apt install sudo, ou venez en root (ansible_user=root dans deploy/inventory.ini).",
    "Python 3.10 or later is missing there: sudo apt install python3 python3-venv": "il y manque Python 3.10 ou plus récent : sudo apt install python3 python3-venv",
    "its disk is full: free some space there, and try again.": "son disque est plein : faites-y de la place, puis recommencez.",
    "there is no site yet: deploy/servers.sh install": "il n'y a pas encore de site : deploy/servers.sh install",
    "no machine of this name is known: correct it in deploy/inventory.ini.": "aucune machine de ce nom n'est connue : corrigez-le dans deploy/inventory.ini.",
    "ssh does not answer there: does the machine run, and is the name in deploy/inventory.ini the right one?": "ssh n'y répond pas : la machine tourne-t-elle, et le nom dans deploy/inventory.ini est-il le bon ?",
    "the connection broke, and the machine may go on alone: deploy/servers.sh status tells.": "la connexion s'est rompue, et la machine continue peut-être seule : deploy/servers.sh status le dira.",
    "Where Ansible puts them": "Où Ansible les met",
    "done": "fait",
    "Each server by itself.": "Chaque serveur séparément.",
    "{command} is for one server, for each has its own data, and there are {names}: {program} --limit NAME {command}. To share one site, they need the groups [front] and [database], too: docs/fleet.md": "{command} ne vaut que pour un serveur, car chacun a ses données, et il y a {names} : {program} --limit NOM {command}. Pour se partager un seul site, il leur faut aussi les groupes [front] et [database] : docs/fleet.md",
    "{command} is for one server, for each has its own data, and there are {names}: {program} --limit NAME {command}. To share one site, they would need a database that all reach, which SQLite is not: generate the project with database=postgresql.": "{command} ne vaut que pour un serveur, car chacun a ses données, et il y a {names} : {program} --limit NOM {command}. Pour se partager un seul site, il leur faudrait une base que tous atteignent, ce que SQLite n'est pas : générez le projet avec database=postgresql.",
    "failed": "échec",
    "Source: Ansible's Developer Guide, Developing plugins, Callback plugins.": "Source : Developer Guide d'Ansible, Developing plugins, Callback plugins.",
    "Whoever started Ansible wants to know what the server answers, and no more.": "Qui a lancé Ansible veut savoir ce que répond le serveur, et rien de plus.",
    "With a dot each second. A step without a name is not worth a line.": "Avec un point par seconde. Une étape sans nom ne vaut pas une ligne.",
    "It has run: what the site's own commands say needs no other words.": "Elle a tourné : ce que disent les commandes du site se passe d'autres mots.",
    # deploy/ansible/playbook.yml
    "Runs one of the site's commands on each server, from the code that is sent or from the release that serves: deploy/server/servers.py": "Lance une des commandes du site sur chaque serveur, depuis le code envoyé ou depuis la version qui sert : deploy/server/servers.py",
    "The site's servers": "Les serveurs du site",
    "lines.py has the sentence for each of its last words": "lines.py a la phrase pour chacun de ses derniers mots",
    "Reaching the server": "Connexion au serveur",
    "Making a folder for the code": "Création d'un dossier pour le code",
    "Only root can read it": "Seul root peut le lire",
    "Sending the code": "Envoi du code",
    "It has passwords": "Il contient des mots de passe",
    # deploy/ansible/requirements.in
    "deploy/servers.sh: the newest that the Python of this machine can run": "deploy/servers.sh : le plus récent que le Python de cette machine sache faire tourner",
    # deploy/backup.sh
    "Copies the data of the site on this server, while it goes on. deploy/backup.sh --help says"
    " more.": (
        "Copie les données du site de ce serveur, pendant qu'il tourne. deploy/backup.sh --help en"
        " dit plus."
    ),
    # deploy/cron.d/nightly
    "What is done each night; deploy/install.sh puts this file into /etc/cron.d, with the "
    "words between @ filled in. What fails is said on standard error, which cron mails to "
    "root where the machine has mail.": (
        "Ce qui se fait chaque nuit ; deploy/install.sh met ce fichier dans /etc/cron.d, les "
        "mots entre @ remplacés. Ce qui échoue se dit sur la sortie d'erreur, que cron envoie à "
        "root si la machine a du courriel."
    ),
    "The copy of the database and the uploads; var/backups keeps those of a week.": (
        "La copie de la base de données et des fichiers envoyés ; var/backups garde celles d'une "
        "semaine."
    ),
    "Sessions that have expired: Django never deletes them by itself.": (
        "Les sessions expirées : Django ne les supprime jamais de lui-même."
    ),
    # deploy/gunicorn.conf.py
    "Settings of gunicorn; each of the two masters that supervisord runs reads them.": (
        "Les réglages de gunicorn, lus par chacun des deux maîtres que lance supervisord."
    ),
    "The listening socket comes from supervisord, as standard input.": (
        "La socket d'écoute vient de supervisord, comme entrée standard."
    ),
    "Threads: a slow request does not hold up the others. deploy/gunicorn_classes/worker.py says"
    " what else.": (
        "Des threads : une requête lente ne retient pas les autres."
        " deploy/gunicorn_classes/worker.py dit le reste."
    ),
    "That worker sends files itself: the system's sendfile would overtake the headers, which it"
    " holds back.": (
        "Ce worker envoie lui-même les fichiers : le sendfile du système dépasserait les en-têtes,"
        " qu'il retient."
    ),
    "One worker per processor, shared out between the two masters.": (
        "Un worker par processeur, répartis entre les deux maîtres."
    ),
    "Load Django once, in the master: the workers share its memory and start faster.": (
        "Charger Django une fois, dans le maître : les workers partagent sa mémoire et démarrent"
        " plus vite."
    ),
    "Seconds before a worker whose request hangs, or that gives no sign of life, is replaced; and"
    " seconds that a request may take to end at a stop.": (
        "Secondes avant que soit remplacé un worker dont une requête est bloquée, ou qui ne donne"
        " pas signe de vie ; et secondes laissées à une requête pour s'achever lors d'un arrêt."
    ),
    "A query of a page waits 5 seconds for what another has locked, and takes 15 in all (in "
    "milliseconds; libpq reads it): then the visitor is asked to come again, before this is "
    "a hang. Commands of manage.py have no such limits.": (
        "Une requête SQL d'une page attend 5 secondes ce qu'une autre a verrouillé, et en prend "
        "15 en tout (ici en millisecondes ; c'est la libpq qui le lit) : on prie ensuite le "
        "visiteur de revenir, avant que gunicorn n'y voie un blocage. Les commandes de manage.py "
        "n'ont pas ces limites."
    ),
    "Replace each worker from time to time, so that a memory leak stays small; not all at once.": (
        "Remplacer chaque worker de temps en temps, pour qu'une fuite de mémoire reste petite ; pas"
        " tous à la fois."
    ),
    "Workers show their sign of life in memory: on a busy disk it could come late.": (
        "Les workers donnent leur signe de vie en mémoire : sur un disque occupé, il pourrait"
        " tarder."
    ),
    "Requests and errors go to the output that supervisord keeps in var/log; each line at once,"
    " also what a view prints.": (
        "Requêtes et erreurs vont à la sortie que supervisord garde dans var/log ; chaque ligne"
        " aussitôt, celles d'un print() dans une vue aussi."
    ),
    "Only a proxy on this machine may say who the visitor is, and that a request came by https."
    " nginx asks from this address, and sets this header: deploy/nginx/site.conf. Another one would"
    " be the visitor's word.": (
        "Seul un proxy de cette machine peut dire qui est le visiteur, et qu'il est venu en https."
        " nginx appelle depuis cette adresse et pose cet en-tête : deploy/nginx/site.conf. Tout"
        " autre serait la parole du visiteur."
    ),
    "gunicorn's own control socket would lie in the home folder, where two sites fight for it.": (
        "La socket de contrôle de gunicorn serait dans le dossier personnel, où deux sites se la"
        " disputent."
    ),
    "Gives the programs that a page starts an empty standard input.": (
        "Donne aux programmes que lance une page une entrée standard vide."
    ),
    "It was the socket, which has another number by now.": (
        "C'était la socket, qui a désormais un autre numéro."
    ),
    "Heeds a stop that arrives before the worker listens to signals.": (
        "Entend un arrêt venu avant que le worker n'écoute les signaux."
    ),
    "The worker would miss it, and its master wait half a minute for its end.": (
        "Le worker le manquerait, et son maître attendrait sa fin une demi-minute."
    ),
    "Asks for the home page itself: the workers share what it loads.": (
        "Demande lui-même la page d'accueil : les workers partagent ce qu'elle charge."
    ),
    "Imported here: the parent-death signal is set before anything of Django loads.": (
        "Importé ici : le signal de mort du parent est réglé avant que rien de Django ne se charge."
    ),
    "The home page hangs.": "La page d'accueil ne répond pas.",
    "By a name of its own, and by https: a plain request may get no more than a redirect.": (
        "Par un nom à lui, et en https : une requête en clair pourrait n'obtenir qu'une"
        " redirection."
    ),
    "A home page that hangs is logged, as any error in it; the workers start nevertheless.": (
        "Une page d'accueil bloquée va au journal, comme toute erreur en elle ; les workers"
        " démarrent quand même."
    ),
    "A connection to the database belongs to one process.": (
        "Une connexion à la base de données n'appartient qu'à un seul processus."
    ),
    "Keep all of it out of the garbage collection, which would write into shared memory.": (
        "Soustraire tout cela au ramasse-miettes, qui écrirait dans la mémoire partagée."
    ),
    # deploy/gunicorn_classes/logger.py
    "How gunicorn writes each request into the log; deploy/gunicorn.conf.py names it.": (
        "Comment gunicorn écrit chaque requête au journal ; deploy/gunicorn.conf.py le nomme."
    ),
    "All logs show the machine's time, as nginx and supervisord do. Django has changed that of its"
    " process to TIME_ZONE.": (
        "Tous les journaux donnent l'heure de la machine, comme nginx et supervisord. Django a mis"
        " celle de son processus à TIME_ZONE."
    ),
    "As time.localtime() would give it.": "Comme la donnerait time.localtime().",
    "Looks up nothing that the line does not show: gunicorn's own costs a tenth of a page.": (
        "Ne cherche que ce que montre la ligne : celui de gunicorn coûte un dixième d'une page."
    ),
    "The combined format of Apache and nginx.": "Le format « combined » d'Apache et de nginx.",
    "What a proxy has passed on, it has logged itself.": (
        "Ce qu'un proxy a transmis, il l'a noté lui-même."
    ),
    "Quoted as JSON: what a visitor sends cannot end its field, nor give orders to a terminal.": (
        "Entre guillemets, comme en JSON : ce qu'envoie un visiteur ne peut ni clore son champ, ni"
        " donner d'ordre à un terminal."
    ),
    # deploy/gunicorn_classes/worker.py
    "gunicorn's plain worker (sync), with threads; deploy/gunicorn.conf.py names it.": (
        "Le worker simple de gunicorn (sync), avec des threads ; deploy/gunicorn.conf.py le nomme."
    ),
    "Why not gunicorn's own threads (gthread): its worker takes in connections while all its"
    " threads are busy, and they wait although another worker has time; it costs a fifth more of a"
    " processor, and takes a slow visitor for a request that hangs.": (
        "Pourquoi pas les threads de gunicorn (gthread) : son worker accepte des connexions quand"
        " tous ses threads travaillent, et elles attendent alors qu'un autre a le temps ; il coûte"
        " un cinquième de processeur de plus, et prend un visiteur lent pour une requête bloquée."
    ),
    "What a visitor gets whose request hangs": (
        "Ce que reçoit un visiteur dont la requête est bloquée"
    ),
    "What the front shares for http and https: it has the visitors, and asks the machines of [web] for the pages. deploy/server/hosts.py puts it into /etc/nginx/snippets.": "Ce que http et https ont en commun sur le frontal : il a les visiteurs, et demande les pages aux machines de [web]. deploy/server/hosts.py le met dans /etc/nginx/snippets.",
    "As in site.conf": "Comme dans site.conf",
    'A machine that has gone answers nothing, not even "no": the next one is asked after this time. No connection is kept for the next request: one to a machine that has gone would hang.': "Une machine disparue ne répond rien, pas même « non » : passé ce délai, on demande à la suivante. Aucune connexion n'est gardée pour la requête d'après : vers une machine disparue, elle se bloquerait.",
    "gunicorn gives up after 20 seconds.": "gunicorn renonce au bout de 20 secondes.",
    "What changes data (POST) is never sent twice.": "Ce qui change des données (POST) ne part jamais deux fois.",
    "What the visitor claims is thrown away.": "Ce que le visiteur prétend est écarté.",
    "During a release, one machine has the new page's files before the others.": "Pendant une publication, une machine a les fichiers de la nouvelle page avant les autres.",
    "The site does not answer. Please try again in a moment.": (
        "Le site ne répond pas. Réessayez dans un instant."
    ),
    "A visitor who sends or takes nothing for so long is let go.": (
        "Un visiteur qui n'envoie ni ne prend rien pendant ce temps est congédié."
    ),
    "A connection that knows since when the application keeps its visitor waiting.": (
        "Une connexion qui sait depuis quand l'application fait attendre son visiteur."
    ),
    "What it asks for, once that is known; what of the answer is still to be sent; and whether"
    " some of it is": (
        "Ce qu'elle demande, dès qu'on le sait ; ce qui reste à envoyer de la réponse ; et si une"
        " part en est partie"
    ),
    "Keeps the headers until the body follows, and sends both at once.": (
        "Garde les en-têtes jusqu'à ce que le corps suive, et envoie le tout d'un coup."
    ),
    "If gunicorn is killed, a proxy asks again, but not once it has got the headers.": (
        "Si gunicorn est tué, un proxy redemande, mais plus une fois qu'il a les en-têtes."
    ),
    "gunicorn does so at the end of each answer.": "gunicorn le fait à la fin de chaque réponse.",
    "Meanwhile the application waits, not the visitor.": (
        "Pendant ce temps, c'est l'application qui attend, non le visiteur."
    ),
    "The application has no answer: a proxy that got none at all would ask again.": (
        "L'application n'a pas de réponse : un proxy qui n'en aurait aucune redemanderait."
    ),
    "Each thread takes in a connection, answers it, and closes it.": (
        "Chaque thread accepte une connexion, y répond et la ferme."
    ),
    "The main thread: it starts the others, shows that the worker lives, and ends it.": (
        "Le thread principal : il lance les autres, montre que le worker vit, et y met fin."
    ),
    "Seconds that a thread waits for a request. Linux hands over a connection when that is there:"
    " browsers open some that they do not use.": (
        "Secondes pendant lesquelles un thread attend une requête. Linux remet une connexion quand"
        " celle-ci est là : les navigateurs en ouvrent qu'ils n'utilisent pas."
    ),
    "The visitor of each thread that has one": "Le visiteur de chaque thread qui en a un",
    "Held by the thread that waits for the next one": "Tenu par le thread qui attend le suivant",
    "Readable once the worker ends": "Lisible dès que le worker finit",
    "wait() shows the sign of life; a signal wakes it.": (
        "wait() donne le signe de vie ; un signal le réveille."
    ),
    "Requests in progress end; a new supervisord may need the port meanwhile.": (
        "Les requêtes en cours s'achèvent ; un nouveau supervisord peut avoir besoin du port"
        " entre-temps."
    ),
    "Those whose time came meanwhile": "Ceux dont le temps est venu entre-temps",
    "A thread that fails ends the worker, and gunicorn starts another.": (
        "Un thread qui échoue met fin au worker, et gunicorn en lance un autre."
    ),
    "Waits for a connection, one thread at a time.": "Attend une connexion, un thread à la fois.",
    "It wakes sooner where nothing else is at work: of several workers, an idle one accepts.": (
        "Il s'éveille plus tôt là où rien ne travaille : de plusieurs workers, c'est un oisif qui"
        " accepte."
    ),
    "The application as gunicorn calls it.": "L'application telle que gunicorn l'appelle.",
    "Of a list, the last is the address that the proxy itself has seen.": (
        "D'une liste, la dernière est l'adresse que le proxy lui-même a vue."
    ),
    "Django leaves the body in; gunicorn would complain.": (
        "Django y laisse le corps ; gunicorn s'en plaindrait."
    ),
    "The threads whose visitors have waited for too long, and these.": (
        "Les threads dont le visiteur attend depuis trop longtemps, et celui-ci."
    ),
    "gunicorn's own timeout is for the worker as a whole.": (
        "Le timeout de gunicorn vaut pour le worker entier."
    ),
    "Each once.": "Chacun une fois.",
    "This request hangs, and its worker ends: %s": (
        "Cette requête est bloquée, et son worker finit : %s"
    ),
    # deploy/init.d/supervisord
    "supervisord and the site that it runs": "supervisord et le site qu'il fait tourner",
    "Starts and stops supervisord, which keeps gunicorn running.": (
        "Démarre et arrête supervisord, qui garde gunicorn en marche."
    ),
    "deploy/install.sh fills in the words between @, puts this file into /etc/init.d and calls"
    " update-rc.d. Actions and exit codes: LSB Core 5.0, 22.2.": (
        "deploy/install.sh remplace les mots entre @, met ce fichier dans /etc/init.d et appelle"
        " update-rc.d. Actions et codes de sortie : LSB Core 5.0, 22.2."
    ),
    "On a machine run by systemd, these functions hand the action over to it.": (
        "Sur une machine menée par systemd, ces fonctions lui transmettent l'action."
    ),
    "DIR and RUN_USER may be set here.": "DIR et RUN_USER peuvent être fixés ici.",
    "Through current, so that each start takes the release that is current then": (
        "Par current : chaque démarrage prend la version alors en service"
    ),
    "supervisord keeps the folder and the umask of its start.": (
        "supervisord garde le dossier et l'umask de son démarrage."
    ),
    "fail CODE FORMAT VALUE...: one sentence on standard error, then the end.": (
        "fail CODE FORMAT VALEUR... : une phrase sur la sortie d'erreur, puis fin."
    ),
    "Root runs nothing of the site, not even supervisorctl. env keeps root's environment from it,"
    " setsid root's terminal.": (
        "Root n'exécute rien du site, pas même supervisorctl. env le coupe de l'environnement de"
        " root, setsid de son terminal."
    ),
    "site_health WORD: what deploy/server/health.py does; $said gets its sentence.": (
        "site_health MOT : ce que fait deploy/server/health.py ; sa phrase va dans $said."
    ),
    "A pid file can outlive its process: name and venv tell whose it is.": (
        "Un fichier de pid peut survivre à son processus : nom et venv le disent."
    ),
    "only root and %s may do this: use sudo.": "seuls root et %s ont ce droit : utilisez sudo.",
    "a site must not run as root: name another user in /etc/default/%s.": (
        "un site ne doit pas tourner en root : nommez un autre utilisateur dans /etc/default/%s."
    ),
    "Before anything stops: a running site outlives a broken config.": (
        "Avant tout arrêt : un site en marche survit à une configuration fausse."
    ),
    "there is no user %s: create it, or name another in /etc/default/%s.": (
        "il n'y a pas d'utilisateur %s : créez-le, ou nommez-en un autre dans /etc/default/%s."
    ),
    "%s cannot be used by %s: run deploy/install.sh.": (
        "%s est inutilisable par %s : lancez deploy/install.sh."
    ),
    "As the run user, it ends no process of another.": (
        "En tant qu'utilisateur du site, il ne finit aucun processus d'autrui."
    ),
    "process %s was not started by %s: stop it as the user that started it.": (
        "le processus %s n'a pas été lancé par %s : arrêtez-le sous l'utilisateur qui l'a lancé."
    ),
    "Stopping the site": "Arrêt du site",
    "Longer than stopwaitsecs: requests in progress end first.": (
        "Plus long que stopwaitsecs : les requêtes en cours s'achèvent d'abord."
    ),
    "process %s still runs after a minute.": "le processus %s tourne encore après une minute.",
    "it does not run.": "il ne tourne pas.",
    "LSB has no code for a site that failed: 1 (dead) comes nearest.": (
        "LSB n'a pas de code pour un site tombé : 1 (mort) en est le plus proche."
    ),
    "it is dead, but its pid file %s is still there.": (
        "il est mort, mais son fichier de pid %s est resté."
    ),
    "usage: %s {start|stop|restart|try-restart|reload|force-reload|status}": (
        "usage : %s {start|stop|restart|try-restart|reload|force-reload|status}"
    ),
    # deploy/install.sh
    "Makes this machine the site's server: starts it at each boot, behind nginx. deploy/install.sh"
    " --help says more.": (
        "Fait de cette machine le serveur du site, qui démarre avec elle, derrière nginx."
        " deploy/install.sh --help en dit plus."
    ),
    # deploy/inventory.ini
    "The site's server, as ssh knows it. After the name there may stand, say, ansible_user=debian ansible_port=2222": "Le serveur du site, tel que ssh le connaît. Après le nom peut suivre, disons, ansible_user=debian ansible_port=2222",
    "Several servers that share the site have each its private address (private=10.0.0.1), and these groups, too: docs/fleet.md": "Plusieurs serveurs qui se partagent le site ont chacun leur adresse privée (private=10.0.0.1), et ces groupes en plus : docs/fleet.md",
    "[front], [database] and [tasks]": "[front], [database] et [tasks]",
    "[front] and [database]": "[front] et [database]",
    # deploy/manage.sh
    "Runs a command of Django's on the server, as the site's user: deploy/manage.sh"
    " createsuperuser, say.": (
        "Lance une commande de Django sur le serveur, sous l'utilisateur du site : deploy/manage.sh"
        " createsuperuser, par exemple."
    ),
    # deploy/nginx/headers.conf
    "Security headers of what nginx itself answers: static files, redirects, errors. Django's pages"
    " carry their own. deploy/install.sh puts this file into /etc/nginx/snippets.": (
        "Les en-têtes de sécurité de ce que nginx répond lui-même : fichiers statiques,"
        " redirections, erreurs. Les pages de Django ont les leurs. deploy/install.sh met ce"
        " fichier dans /etc/nginx/snippets."
    ),
    "The version of nginx is nobody's business.": "La version de nginx ne regarde personne.",
    # deploy/nginx/http.conf
    "The site behind nginx, by plain HTTP. deploy/install.sh puts this file, or https.conf where"
    " there is a certificate, into /etc/nginx/sites-available, with the words between @ filled in.": (
        "Le site derrière nginx, en simple HTTP. deploy/install.sh met ce fichier, ou https.conf"
        " s'il y a un certificat, dans /etc/nginx/sites-available, en remplaçant les mots entre @."
    ),
    "A request for a name that no server here has, or for none, goes to the first one, which closes"
    " it without a word.": (
        "Une requête pour un nom qu'aucun serveur d'ici ne porte, ou sans nom, va au premier, qui"
        " la ferme sans un mot."
    ),
    "No name is like this one.": "Aucun nom n'est fait ainsi.",
    "What is no proper request is closed too.": (
        "Ce qui n'est pas une requête en règle est fermé aussi."
    ),
    # deploy/nginx/https.conf
    "The site behind nginx, by HTTPS, with the certificate that certbot keeps. deploy/install.sh"
    " puts this file into /etc/nginx/sites-available, with the words between @ filled in.": (
        "Le site derrière nginx, en HTTPS, avec le certificat que certbot tient à jour."
        " deploy/install.sh met ce fichier dans /etc/nginx/sites-available, en remplaçant les mots"
        " entre @."
    ),
    "Browsers that came by https once come by https for a year.": (
        "Un navigateur venu une fois en https vient en https pendant un an."
    ),
    # deploy/nginx/site.conf
    "What http.conf and https.conf share; deploy/install.sh puts it into /etc/nginx/snippets."
    " supervisord's web interface is not here: it must not be reached from outside.": (
        "Ce que http.conf et https.conf ont en commun ; deploy/install.sh le met dans"
        " /etc/nginx/snippets. L'interface web de supervisord n'y est pas : on ne doit pas"
        " l'atteindre du dehors."
    ),
    "nginx rotates what lies in this folder. Not in var/log: root must not write where the site's"
    " user may place a link.": (
        "Ce dossier est celui que Debian fait tourner pour nginx. Pas var/log : root ne doit pas"
        " écrire là où l'utilisateur du site peut poser un lien."
    ),
    "nginx waits for slow visitors: gunicorn gets whole requests only, and hands its answer over at"
    " once. Seconds between two signs of life of a visitor, and the largest upload.": (
        "nginx attend les visiteurs lents : gunicorn ne reçoit que des requêtes entières et remet"
        " sa réponse d'un coup. Secondes entre deux signes de vie d'un visiteur, et plus grand"
        " envoi."
    ),
    (
        "Who tries passwords, or has mails sent for forgotten ones: the address, of IPv6 its "
        "half, for a visitor may have all of the other."
    ): (
        "Qui essaie des mots de passe, ou fait envoyer des courriers pour en changer : son "
        "adresse, ou sa moitié en IPv6, car un visiteur peut avoir toute l'autre."
    ),
    "Where a router leads another port here, browsers say so, and Django compares.": (
        "Si un routeur mène ici un autre port, les navigateurs le disent, et Django compare."
    ),
    "Asked again, a page that hangs would only hang again: gunicorn gives up after 20 seconds.": (
        "Redemandée, une page bloquée le serait encore : gunicorn y renonce au bout de 20 secondes."
    ),
    "Whatever gunicorn's address is, nginx asks from this one: gunicorn believes what it says of"
    " the visitor.": (
        "Quelle que soit l'adresse de gunicorn, nginx l'appelle depuis celle-ci : gunicorn croit"
        " ce qu'il dit du visiteur."
    ),
    "Who asks and how, as nginx saw it: what the visitor claims is thrown away.": (
        "Qui demande, et comment, tel que nginx l'a vu : ce que le visiteur prétend est écarté."
    ),
    "A header added here replaces all those above: Django's pages carry their own, but not this"
    " one.": (
        "Un en-tête ajouté ici remplace tous ceux d'au-dessus : les pages de Django ont les leurs,"
        " mais pas celui-ci."
    ),
    "Twenty at once: who mistypes a password does not notice.": (
        "Vingt d'un coup : qui se trompe de mot de passe n'en remarque rien."
    ),
    "The site's user could place a link to a file of another site, which nginx may read.": (
        "L'utilisateur du site pourrait poser un lien vers un fichier d'un autre site, que nginx"
        " peut lire."
    ),
    "The compressed files that collectstatic has made": (
        "Les fichiers comprimés qu'a faits collectstatic"
    ),
    "A name with a fingerprint never changes its content.": (
        "Sous un nom qui porte une empreinte, le contenu ne change jamais."
    ),
    "Lists of files, for Django alone": "Des listes de fichiers, pour Django seul",
    "What has been uploaded. Nothing of it can act as a page of the site: it runs no script, "
    "and a browser takes it for none (nosniff, in headers.conf).": (
        "Les fichiers envoyés. Aucun ne peut passer pour une page du site : il n'exécute aucun "
        "script, et un navigateur n'en prend aucun pour un script (nosniff, dans headers.conf)."
    ),
    "What browsers show; they save the rest.": (
        "Ce que les navigateurs affichent ; le reste, ils l'enregistrent."
    ),
    "Too many attempts from your address. Please try again in a minute.": (
        "Trop de tentatives depuis votre adresse. Réessayez dans une minute."
    ),
    # deploy/nginx/tls.conf
    "How https.conf speaks TLS; deploy/install.sh puts this file into /etc/nginx/snippets.": (
        "Comment https.conf parle TLS ; deploy/install.sh met ce fichier dans /etc/nginx/snippets."
    ),
    "What every browser since 2014 speaks; older protocols are broken.": (
        "Ce que parle tout navigateur depuis 2014 ; les protocoles plus anciens sont percés."
    ),
    "A visitor who comes back within a day need not negotiate anew.": (
        "Un visiteur qui revient dans la journée n'a pas à renégocier."
    ),
    # deploy/nginx/upstream.conf
    "How nginx reaches gunicorn; deploy/install.sh puts this file into /etc/nginx/snippets. Three"
    " times the same address: where a gunicorn is killed before it answers, nginx asks another,"
    " and the visitor notices nothing. What changes data (POST) it never sends twice.": (
        "Comment nginx atteint gunicorn ; deploy/install.sh met ce fichier dans"
        " /etc/nginx/snippets. Trois fois la même adresse : si un gunicorn est tué avant de"
        " répondre, nginx demande à un autre, et le visiteur ne remarque rien. Ce qui change des"
        " données (POST), il ne l'envoie jamais deux fois."
    ),
    (
        "What each address may send to a login form, or to that of a forgotten password, in the "
        "long run; site.conf says to which, and how many at once."
    ): (
        "Ce que chaque adresse peut envoyer, à la longue, à un formulaire de connexion ou de mot "
        "de passe oublié ; site.conf dit auquel, et combien d'un coup."
    ),
    # deploy/nginx/{% if cookiecutter.database == 'postgresql' %}behind_front.conf{% endif %}
    "The site on a machine of several, where nginx on another one, the front, has the visitors. deploy/install.sh puts this file into /etc/nginx/sites-available, with the words between @ filled in.": "Le site sur une machine parmi plusieurs, quand les visiteurs sont chez le nginx d'une autre, le frontal. deploy/install.sh met ce fichier dans /etc/nginx/sites-available, une fois remplis les mots entre @.",
    "The private address": "L'adresse privée",
    "Nobody but the front asks here, and this machine itself.": "Personne ne demande ici, sauf le frontal et cette machine elle-même.",
    "The front says who the visitor is.": "Le frontal dit qui est le visiteur.",
    # deploy/release.sh
    "Puts the code of this folder into service on a server, without losing a request."
    " deploy/release.sh --help says more.": (
        "Met le code de ce dossier en service sur un serveur, sans perdre une requête."
        " deploy/release.sh --help en dit plus."
    ),
    # deploy/restore.sh
    "Shows the copies of the site's data, or puts one back. deploy/restore.sh --help says more.": (
        "Montre les copies des données du site, ou en remet une. deploy/restore.sh --help en dit"
        " plus."
    ),
    # deploy/server/__init__.py
    "How the commands of the server work. To run a site, nobody needs to read it.": (
        "Comment marchent les commandes du serveur. Pour exploiter un site, nul besoin de lire"
        " ceci."
    ),
    # deploy/server/__main__.py
    "Runs one of the commands: python3 deploy/server COMMAND [WORD]...": (
        "Lance une des commandes : python3 deploy/server COMMANDE [MOT]..."
    ),
    "Python was given this folder: its modules are imported as those of a package. Links stay: the"
    " config's paths go through current.": (
        "Python a reçu ce dossier : ses modules s'importent comme ceux d'un paquet. Les liens"
        " restent : les chemins de la configuration passent par current."
    ),
    # deploy/server/alerts.py
    "An event listener of supervisord's: tells ADMINS what died and what is back, and sends "
    "what waits in var/mails. Protocol: supervisord.org/events.html": (
        "Un écouteur d'évènements de supervisord : il dit aux ADMINS ce qui est mort et ce qui "
        "est revenu, et envoie ce qui attend dans var/mails. Le protocole : "
        "supervisord.org/events.html"
    ),
    "What was told, for the alerts that come after these": (
        "Ce qui a été dit, pour qui prendra la suite"
    ),
    "Whoever has run for so many seconds is back.": (
        "Qui tourne depuis tant de secondes est revenu."
    ),
    "After a mail server that takes nothing, the next try": (
        "Après un serveur de courriel qui ne prend rien, le prochain essai"
    ),
    "supervisord ends it like this.": "C'est ainsi que supervisord l'arrête.",
    "Each tells to look; which one it is does not matter. They end with supervisord.": (
        "Chacun dit de regarder ; peu importe lequel. Ils finissent avec supervisord."
    ),
    "Looks at what is, not at what happened: nothing is missed while it restarts itself.": (
        "Regarde ce qui est, non ce qui s'est passé : rien ne lui échappe pendant qu'il "
        "redémarre lui-même."
    ),
    "By name: since when it is dead, whether that was told, and when one of its deaths was "
    "told last": (
        "Par nom : depuis quand il est mort, si cela a été dit, et quand une de ses morts a été "
        "annoncée pour la dernière fois"
    ),
    "It is on its way up or down.": "Il démarre ou s'arrête.",
    "{names}: dead": "{names} : mort",
    "{names}: runs again": "{names} : tourne de nouveau",
    "Whether that is to be told now.": "S'il faut l'annoncer maintenant.",
    "Returns whether it could be.": "Renvoie si cela a pu se faire.",
    "A full disk kills programs, too: then it is sent without being written.": (
        "Un disque plein tue aussi des programmes : le courriel part alors sans avoir été écrit."
    ),
    "The description has the time of the next try: deploy/supervisor_plugin/retries.py.": (
        "La description a l'heure du prochain essai : deploy/supervisor_plugin/retries.py."
    ),
    "{name} is dead since {time}: {reason}": "{name} est mort depuis {time} : {reason}",
    "The last lines of {log}:": "Les dernières lignes de {log} :",
    "{name} runs since {start}; it was dead since {time}.": (
        "{name} tourne depuis {start} ; il était mort depuis {time}."
    ),
    "Returns whether it was sent.": "Renvoie si c'est parti.",
    # deploy/server/backup.py
    "Copies the site's data while the site goes on, and keeps the copies of a week.": (
        "Copie les données du site pendant qu'il tourne, et garde les copies d'une semaine."
    ),
    "The copies of as many days stay.": "Les copies d'autant de jours restent.",
    "In var/: a line for each copy; and what is there after one that failed": (
        "Dans var/ : une ligne par copie ; et ce qui s'y trouve après une copie qui a échoué"
    ),
    "Copies the data of the site on this server into a folder of var/backups; the site goes on.": (
        "Copie les données du site de ce serveur dans un dossier de var/backups ; le site continue."
    ),
    "The copies hold secrets: they are for the site's user alone.": (
        "Les copies contiennent des secrets : elles sont pour le seul utilisateur du site."
    ),
    "The copy is {copy}": "La copie est {copy}",
    "Root's copies would be in the way of the next night's.": (
        "Des copies appartenant à root gêneraient celle de la nuit suivante."
    ),
    "Another copy is being made in {folder}: wait until it has ended.": (
        "Une autre copie est en cours dans {folder} : attendez qu'elle soit finie."
    ),
    "Brings the code to the servers of deploy/inventory.ini, and runs the site's commands there. Ansible decides on machines and files; what a machine does stays in its own commands.": "Porte le code aux serveurs de deploy/inventory.ini, et y lance les commandes du site. Ansible décide des machines et des fichiers ; ce que fait une machine reste dans ses propres commandes.",
    "On a server, the release that serves": "Sur un serveur, la version qui sert",
    "What Ansible runs, with what it says meanwhile": "Ce qu'Ansible lance, avec ce qu'il en dit",
    "Several servers that share one site: what deploy/servers.sh does on which of them, and in which order. A server may be in several groups of deploy/inventory.ini.": "Plusieurs serveurs qui se partagent un site : ce que deploy/servers.sh fait, sur lequel, et dans quel ordre. Un serveur peut être dans plusieurs groupes de deploy/inventory.ini.",
    "Those that run the site. The worker comes first: it knows the tasks before a page queues them.": "Ceux qui font tourner le site. Le worker passe d'abord : il connaît les tâches avant qu'une page ne les mette en file.",
    "In the inventory, behind a server's name: the address by which the others reach it": "Dans l'inventaire, après le nom d'un serveur : l'adresse où les autres l'atteignent",
    "What all of them share: secrets, and whatever else their .env shall say": "Ce que tous partagent : les secrets, et tout ce que doit dire d'autre leur .env",
    "What the servers of inventory.ini share; deploy/servers.sh install has made the secrets. It stays out of git: keep a copy. Further lines for the .env of all of them, such as EMAIL_URL=..., may follow.": "Ce que partagent les serveurs de inventory.ini ; deploy/servers.sh install a fait les secrets. Ce fichier reste hors de git : gardez-en une copie. D'autres lignes pour le .env de tous, comme EMAIL_URL=..., peuvent suivre.",
    "On a server": "Sur un serveur",
    "For ssh, which has nobody to answer it: a server that is away is given up": "Pour ssh, à qui personne ne répond : un serveur absent est abandonné",
    "Lines of sh: what serves there": "Lignes de sh : ce qui sert là",
    "For manage.py shell: leaves a file among the uploads, and tells whether it is there.": "Pour manage.py shell : laisse un fichier parmi les fichiers envoyés, et dit s'il y est.",
    "A server could not do its part; it has said why.": "Un serveur n'a pas pu faire sa part ; il a dit pourquoi.",
    "Whether the inventory has servers that share a site.": "Si l'inventaire a des serveurs qui se partagent un site.",
    "By name": "Par nom",
    "Of each server that could not be asked: what kept it": "De chaque serveur qu'on n'a pas pu interroger : ce qui l'a empêché",
    "{file}: this site was made without tasks, and has nothing to do in [tasks].": "{file} : ce site a été fait sans tâches, et n'a rien à faire dans [tasks].",
    "{file}: several servers that share a site need one in [{group}], too.": "{file} : plusieurs serveurs qui se partagent un site en veulent un dans [{group}] aussi.",
    "{file}: [{group}] can have one server, and there are {names}.": "{file} : [{group}] n'a qu'un serveur, et il y a {names}.",
    "{file}: write the address by which the other servers reach {host} behind its name: {host} private=10.0.0.1": "{file} : écrivez après le nom de {host} l'adresse où les autres serveurs l'atteignent : {host} private=10.0.0.1",
    "Those of deploy/servers.env: name -> value.": "Celles de deploy/servers.env : nom -> valeur.",
    "What the .env of each says.": "Ce que dit le .env de chacun.",
    "Whether the front speaks it: on or off.": "Si le frontal le parle : on ou off.",
    "What this server gets to know: deploy/server/shared.py. Only the one that needs a password has it.": "Ce que ce serveur apprend : deploy/server/shared.py. Un mot de passe ne va qu'à celui qui en a besoin.",
    "What a line of sh says there; None where the server cannot be reached. ssh alone is quicker than Ansible, which knows the password for sudo, and the sentence for what is wrong.": "Ce qu'une ligne de sh y répond ; None quand le serveur ne peut pas être joint. ssh seul est plus rapide qu'Ansible, qui connaît, lui, le mot de passe pour sudo et la phrase pour ce qui ne va pas.",
    "Where none of them is meant, all: one that is left out would ask machines that are.": "Si aucun n'est visé, tous : un frontal laissé de côté interrogerait des machines qui le sont aussi.",
    "By server that runs the site, at the same time.": "Par serveur qui fait tourner le site, en même temps.",
    "Asking the servers what serves": "Question aux serveurs : qu'est-ce qui sert ?",
    "It alone knows what visitors get: without it, nothing is changed.": "Lui seul sait ce que reçoivent les visiteurs : sans lui, rien n'est changé.",
    "Asking {host}": "Question à {host}",
    "By server, the commit that serves there: empty where there is none yet, None where it cannot be reached.": "Par serveur, le commit qui y sert : vide s'il n'y en a pas encore, None s'il ne peut être atteint.",
    "The commit that visitors get; empty as long as there is none.": "Le commit que reçoivent les visiteurs ; vide tant qu'il n'y en a pas.",
    "By server that is meant, the name of the release that serves there. Each must have one, or nothing is changed.": "Par serveur visé, le nom de la version qui y sert. Chacun doit en avoir une, sinon rien n'est changé.",
    "{file}: no server that is meant runs the site.": "{file} : aucun des serveurs visés ne fait tourner le site.",
    "{host} does not answer, or has no site yet: nothing was changed. Mend it (deploy/servers.sh install), or go on without it, until it is installed again: deploy/servers.sh --limit 'all:!{host}' {command}": "{host} ne répond pas, ou n'a pas encore de site : rien n'a changé. Réparez-le (deploy/servers.sh install), ou continuez sans lui, jusqu'à ce qu'on l'installe de nouveau : deploy/servers.sh --limit 'all:!{host}' {command}",
    "{host} could not do its part: see above. The servers after it were left as they are.": "{host} n'a pas pu faire sa part : voyez plus haut. Les serveurs qui le suivent sont restés tels quels.",
    "The front asks those that serve this commit; one that has missed a release waits for an install.": "Le frontal demande à ceux qui servent ce commit ; celui qui a manqué une publication attend un install.",
    "Directing the visitors": "Orientation des visiteurs",
    "{host} does not serve {commit}: no visitor gets there until deploy/servers.sh install has brought it so far.": "{host} ne sert pas {commit} : aucun visiteur n'y arrive avant que deploy/servers.sh install l'y ait amené.",
    "Brings each server to where the others are: what serves already is what a new one gets.": "Amène chaque serveur là où sont les autres : ce qui sert déjà est ce que reçoit un nouveau.",
    "On several servers, install takes no {word}. On one of them: sudo deploy/install.sh {word}": "Avec plusieurs serveurs, install ne prend pas {word}. Sur l'un d'eux : sudo deploy/install.sh {word}",
    "Preparing PostgreSQL": "Préparation de PostgreSQL",
    "Making the table of the cache": "Création de la table du cache",
    "The front first: no page sends visitors to https before it is there.": "Le frontal d'abord : aucune page n'envoie les visiteurs en https avant qu'il y soit.",
    "A server, from nothing or from another release, to this one.": "Amène un serveur à cette version, qu'il parte de rien ou d'une autre.",
    "Installing the site": "Installation du site",
    "Making the release": "Publication",
    "{file} is missing, and the servers have its secrets already: copy it from where deploy/servers.sh install was run first.": "{file} manque, et les serveurs ont déjà ses secrets : copiez-le de là où deploy/servers.sh install a été lancé la première fois.",
    "Leaving a file among the uploads": "Dépôt d'un fichier d'essai",
    "Looking for it": "Recherche de ce fichier",
    "{host} does not have the uploads of {first}: give both the same folder at {folder}/var/media, or keep the uploads with an S3 service. docs/fleet.md says how; then run this again.": "{host} n'a pas les fichiers envoyés de {first} : donnez-leur le même dossier dans {folder}/var/media, ou confiez ces fichiers à un service S3. docs/fleet.md dit comment ; puis relancez cette commande.",
    "One server after the other.": "Un serveur après l'autre.",
    "Going back": "Retour en arrière",
    "One release serves everywhere: where a server fails, those before it go back to what they had.": "Une seule version sert partout : si un serveur échoue, ceux d'avant reviennent à ce qu'ils avaient.",
    "went back": "revenu en arrière",
    "{host} could not do its part, and {names} could not go back: see above. deploy/servers.sh status shows what serves where.": "{host} n'a pas pu faire sa part, et le retour en arrière a échoué sur {names} : voyez plus haut. deploy/servers.sh status montre ce qui sert, et où.",
    "{host} could not do its part: see above. What served before serves everywhere.": "{host} n'a pas pu faire sa part : voyez plus haut. Ce qui servait avant sert partout.",
    "Those of the data are for one server, the one that makes each night's copy: it is the same data on all.": "Celles des données vont à un seul serveur, celui qui fait la copie de chaque nuit : les données sont les mêmes sur tous.",
    "To the release before. The worker comes last: it knows the tasks of both.": "À la version d'avant. Le worker passe en dernier : il connaît les tâches des deux.",
    "On several servers, rollback goes to the release before, and takes no name: {name}": "Sur plusieurs serveurs, rollback va à la version d'avant, et ne prend pas de nom : {name}",
    "Asking how it is": "Demande de l'état",
    "Copying the data": "Copie des données",
    "What sends the code first": "Ce qui envoie d'abord le code",
    "What ssh runs, for it has a terminal: people answer there, or look on": "Ce que ssh lance, car il a un terminal : on y répond, ou l'on regarde",
    "Of ssh, and where Ansible's inventory has their values": "Celles de ssh, et où l'inventaire d'Ansible a leurs valeurs",
    "What may be for several servers at once: the others change the data of one": "Ce qui peut valoir pour plusieurs serveurs à la fois : les autres changent les données d'un seul",
    "Brings the code from here to the servers of deploy/inventory.ini, and runs the site's commands there.": "Porte le code d'ici aux serveurs de deploy/inventory.ini, et y lance les commandes du site.",
    "What is sent is the last commit. The words after the command are for the server's own: rollback NAME, restore COPY, logs -f, manage createsuperuser, run uptime.": "C'est le dernier commit qui est envoyé. Les mots après la commande sont pour celle du serveur : rollback NOM, restore COPIE, logs -f, manage createsuperuser, run uptime.",
    "this server alone, where the inventory has several": "ce serveur seul, si l'inventaire en a plusieurs",
    "It gets its name when it is whole; the older ones go last.": (
        "Elle reçoit son nom une fois entière ; les anciennes partent en dernier."
    ),
    "The data of {folder} could not be copied ({reason}). The copies that are there stay.": (
        "Les données de {folder} n'ont pas pu être copiées ({reason}). Les copies déjà là restent."
    ),
    "From the oldest to the newest; those that deploy/restore.sh has replaced too.": (
        "De la plus ancienne à la plus récente, avec ce que deploy/restore.sh a remplacé."
    ),
    "One line a day: it needs no rotation.": "Une ligne par jour : rien à faire tourner.",
    "ADMINS get it by mail, once an hour at most; and once when a copy is made again.": (
        "Les ADMINS le reçoivent par courriel, une fois par heure au plus ; et une fois quand "
        "une copie se fait de nouveau."
    ),
    "The last copy: {copy}": "La dernière copie : {copy}",
    "No copy of the data": "Aucune copie des données",
    "The data are copied again": "Les données sont de nouveau copiées",
    "At once, for supervisord may not run; what cannot be sent waits for it.": (
        "Tout de suite, car supervisord ne tourne peut-être pas ; ce qui ne peut partir l'attend."
    ),
    "Telling ADMINS": "Avertissement des ADMINS",
    # deploy/server/bootstrap.py
    "Sets the site up where its code lies: venv, secrets, database, static files. Only what is"
    " missing is done.": (
        "Installe le site là où est son code : venv, secrets, base de données, fichiers statiques."
        " Seul ce qui manque est fait."
    ),
    "One per release; RELEASE in the settings is the name of this folder.": (
        "Un par version ; RELEASE, dans les réglages, est le nom de ce dossier."
    ),
    "The fingerprint of what the static files were collected from; missing until they all are.": (
        "L'empreinte de ce dont viennent les fichiers statiques rassemblés ; absente tant qu'ils ne"
        " le sont pas tous."
    ),
    "Sets the site up: venv, requirements, secrets, database, static files.": (
        "Installe le site : venv, dépendances, secrets, base de données, fichiers statiques."
    ),
    "To fill the folder: venv/bin/pip download -r requirements.txt -d DIR": (
        "Pour remplir le dossier : venv/bin/pip download -r requirements.txt -d DOSSIER"
    ),
    "also what one develops with: the packages of requirements-dev.txt": (
        "aussi les outils de développement : les paquets de requirements-dev.txt"
    ),
    "NUMBER": "NUMÉRO",
    "the site's port on this machine alone; the web interface gets the next one": (
        "le port du site sur cette seule machine ; l'interface web prend le suivant"
    ),
    "The last one has no next one.": "Le dernier n'a pas de suivant.",
    '--port needs a number from 1024 to 65534, not "{value}".': (
        "--port exige un nombre de 1024 à 65534, et non « {value} »."
    ),
    "deploy/supervisord.conf reads it, and what stands in it counts. Without --port, one "
    "that is there stays.": (
        "deploy/supervisord.conf le lit, et ce qu'il dit l'emporte. Sans --port, celui qui est "
        "là reste."
    ),
    "What counts on this machine alone, instead of what supervisord.conf says. "
    "./bootstrap.sh --port writes it; releases leave it out.": (
        "Ce qui vaut sur cette seule machine, à la place de ce que dit supervisord.conf. "
        "./bootstrap.sh --port l'écrit ; une publication ne le prend pas."
    ),
    "Its stamp tells whether --dev was said before: what that has added stays up to date.": (
        "Sa marque dit si --dev a déjà été demandé : ce qu'il a ajouté reste à jour."
    ),
    "A zip may have lost that right.": "Un zip a pu perdre ce droit.",
    "A venv that is half-made, moved or of another Python is made anew; one with other requirements"
    " is brought up to date.": (
        "Un venv inachevé, déplacé ou fait par un autre Python est refait ; si seules les"
        " dépendances ont changé, il est mis à jour."
    ),
    "Migrates the database and collects the static files, where that is due.": (
        "Migre la base de données et collecte les fichiers statiques, s'il y a lieu."
    ),
    "Preparing the site ({tasks})": "Préparation du site ({tasks})",
    "What Django itself would say of one that it cannot reach has a page of traceback.": (
        "Ce que Django dirait lui-même d'une base qu'il ne peut atteindre tient une page de trace."
    ),
    "Of the static files of every app; the settings and the venv tell which apps there are. Their"
    " times tell nothing: a copy may keep old ones.": (
        "Celle des fichiers statiques de toutes les applications ; les réglages et le venv disent"
        " lesquelles. Les dates ne disent rien : une copie peut en garder d'anciennes."
    ),
    "Django keeps a file that is as new as its source, also half of one that a killed run left:"
    " whole.": (
        "Django garde un fichier aussi récent que sa source, même la moitié qu'a laissée une"
        " exécution tuée : whole."
    ),
    "The last second of 1969: some copies bear the first of 1970.": (
        "La dernière seconde de 1969 : certaines copies portent la première de 1970."
    ),
    "Shows a step and runs its commands, whose output goes to the log.": (
        "Montre une étape et lance ses commandes, dont la sortie va au journal."
    ),
    "Another ./bootstrap.sh is at work in {folder}: wait until it has ended.": (
        "Un autre ./bootstrap.sh est à l'œuvre dans {folder} : attendez qu'il ait fini."
    ),
    "Whether the process of its pid file is there: it has the addresses.": (
        "Dit si le processus de son fichier de pid est là : c'est lui qui a les adresses."
    ),
    "deploy/supervisord.conf; for this machine alone, ./bootstrap.sh --port NUMBER does it": (
        "deploy/supervisord.conf ; pour cette seule machine, ./bootstrap.sh --port NUMÉRO le fait"
    ),
    "Says in a sentence why something cannot be written.": (
        "Dit en une phrase pourquoi l'écriture est impossible."
    ),
    "{path} cannot be written: run ./bootstrap.sh as its owner, make it yours (sudo chown -R), or"
    " make its disk writable.": (
        "{path} n'est pas modifiable : lancez ./bootstrap.sh en tant que son propriétaire,"
        " appropriez-vous-le (sudo chown -R), ou rendez son disque modifiable."
    ),
    "Of a step that failed, the last lines tell why, unless the disk is full.": (
        "D'une étape qui a échoué, les dernières lignes disent pourquoi, sauf si le disque est"
        " plein."
    ),
    'It failed: "{step}". The lines above tell why (all of them: {log}). Then run ./bootstrap.sh'
    " again.": (
        "Échec : « {step} ». Les lignes ci-dessus disent pourquoi (toutes : {log}). Puis relancez"
        " ./bootstrap.sh."
    ),
    "Everything is in place.": "Tout est en place.",
    "start the site:": "démarrer le site :",
    "look at it": "le regarder",
    "stop it": "l'arrêter",
    "Web interface: http://{address}/ (user: admin; password: in deploy/web_interface.conf)": (
        "Interface web : http://{address}/ (utilisateur : admin ; mot de passe : dans"
        " deploy/web_interface.conf)"
    ),
    # deploy/server/changes.py
    "Changes the machine for deploy/install.sh: each change is shown, and made unless it is a dry"
    " run.": (
        "Change la machine pour deploy/install.sh : chaque changement est montré, et fait sauf en"
        " simulation."
    ),
    "Shown as + (written), - (removed) or $ (run). What is so already is neither shown nor made.": (
        "Montrés par + (écrit), - (retiré) ou $ (exécuté). Ce qui est déjà fait n'est ni montré ni"
        " refait."
    ),
    "Shows a change, and calls what makes it.": "Montre un changement, et appelle ce qui le fait.",
    "{path}: {reason}. Mend that, then run this again.": (
        "{path} : {reason}. Remédiez-y, puis relancez cette commande."
    ),
    "Returns whether the file was another.": "Dit si le fichier était autre.",
    "One of nginx, with the rights that logrotate gives to those that follow.": (
        "Un journal de nginx, avec les droits que logrotate donne aux suivants."
    ),
    "Returns whether the link led elsewhere.": "Dit si le lien menait ailleurs.",
    "A file, or a link but not what it leads to.": "Un fichier, ou un lien mais pas sa cible.",
    "With all that it holds, where it is a link or the place of a disk, too.": (
        "Avec tout son contenu, même si c'est un lien ou le point de montage d'un disque."
    ),
    "Puts these files and links back where what is done within it fails.": (
        "Remet ces fichiers et ces liens comme avant si ce qui s'y fait échoue."
    ),
    "Of a file, its bytes; of a link, where it leads; None of what is not there.": (
        "D'un fichier, ses octets ; d'un lien, sa cible ; None si rien n'est là."
    ),
    "Whole or not at all; one that is there keeps its owner and its mode.": (
        "En entier ou pas du tout ; un fichier déjà là garde son propriétaire et ses droits."
    ),
    "A folder where a disk is mounted stays, empty.": (
        "Un dossier où un disque est monté reste, vide."
    ),
    "{path} stays: a disk is mounted there, or it cannot be removed.": (
        "{path} reste : un disque y est monté, ou il ne se laisse pas supprimer."
    ),
    # deploy/server/code.py
    "Which files of the code a release gets: what git tracks; without git, what .gitignore"
    " allows.": (
        "Quels fichiers du code reçoit une version : ceux que suit git ou, sans git, ceux que"
        " .gitignore laisse passer."
    ),
    "What belongs to the folder of the code, not to a release, even where git tracks it": (
        "Ce qui appartient au dossier du code et non à une version, même si git le suit"
    ),
    "What a release has beside them, for this may be the folder of one": (
        "Ce qu'une version a en plus, car ce dossier peut en être une"
    ),
    "What deploy/servers.sh puts beside the code that it sends: the name of its commit": "Ce que deploy/servers.sh met à côté du code qu'il envoie : le nom de son commit",
    "Of the untracked files, so many are named.": (
        "Parmi les fichiers que git ne suit pas, on en nomme tant."
    ),
    "Links stay links, and of the modes what matters: whether a file runs.": (
        "Les liens restent des liens et, des droits, on garde l'essentiel : un fichier est-il"
        " exécutable ?"
    ),
    "The names of those that are copied. Of git's, a file may be missing here; a submodule that is"
    " not here is a folder.": (
        "Les noms de ceux que l'on copie. De ceux de git, un fichier peut manquer ici ; un"
        " sous-module absent est un dossier."
    ),
    "Says which file is not.": "Dit quel fichier ne l'est pas.",
    "{file} cannot be read: run this as its owner, or as root.": (
        "{file} n'est pas lisible : lancez ceci en tant que son propriétaire, ou en root."
    ),
    "Empty without git, or where it tracks nothing here.": (
        "Vide sans git, ou s'il ne suit rien ici."
    ),
    "With the changes that are not committed yet.": (
        "Y compris les changements qui ne sont pas encore dans un commit."
    ),
    "Left out, as git does not track it ({number} in all): {names}": (
        "Laissé de côté, car git ne le suit pas ({number} en tout) : {names}"
    ),
    "The names that it says; none where it is missing, or where this is no checkout.": (
        "Les noms qu'il donne ; aucun s'il manque, ou si ce dossier n'est pas un dépôt."
    ),
    "Root may ask in another's checkout; nothing is written there.": (
        "root peut interroger le dépôt d'un autre ; rien n'y est écrit."
    ),
    "The files that no .gitignore ignores: of the rules that fit, the last one counts.": (
        "Les fichiers qu'aucun .gitignore n'ignore : des règles qui conviennent, la dernière"
        " compte."
    ),
    "Those of one .gitignore: a pattern, whether it is for folders alone, whether it ignores.": (
        "Celles d'un .gitignore : le motif, s'il ne vise que les dossiers, s'il ignore."
    ),
    "Without a slash, it is for the folders below, too.": (
        "Sans barre oblique, elle vaut aussi dans les sous-dossiers."
    ),
    "git, too, passes over what is no pattern.": (
        "git, lui aussi, passe sur ce qui n'est pas un motif."
    ),
    "A pattern of .gitignore as a regular expression.": (
        "Un motif de .gitignore, en expression régulière."
    ),
    "A commit as a .tar.gz, as long as the block lasts; its name is in the file .commit.": "Un commit en .tar.gz, le temps du bloc ; son nom est dans le fichier .commit.",
    # deploy/server/commands.py
    "Runs commands, shows what is being done, and says in a sentence what failed.": (
        "Lance des commandes, montre ce qui se fait, et dit en une phrase ce qui a échoué."
    ),
    "Lines of a failed command's output that are shown": (
        "Lignes montrées de la sortie d'une commande qui a échoué"
    ),
    "What ends a command early": "Ce qui met fin à une commande avant l'heure",
    "Ends the command, for the reason given. step names where it happened.": (
        "Met fin à la commande, pour la raison donnée. step dit à quelle étape."
    ),
    "A signal ends the command: no failure that somebody knows how to deal with.": (
        "Un signal met fin à la commande : ce n'est pas un échec auquel quelqu'un saurait remédier."
    ),
    "Shows it at once. Where the terminal is gone, the command goes on.": (
        "Montre le texte aussitôt. Si le terminal a disparu, la commande continue."
    ),
    "Asks on the terminal; no answer means no.": "Demande au terminal ; sans réponse, c'est non.",
    "Shows the failure on standard error.": "Montre l'échec sur la sortie d'erreur.",
    "It failed:": "Échec :",
    "Says what is being done, with a dot each second.": (
        "Dit ce qui se fait, avec un point par seconde."
    ),
    "Starts a command that goes on during the with block.": (
        "Lance une commande qui dure le temps du bloc with."
    ),
    "Called in the new process: it ends when this one does, even by kill -9. Linux only.": (
        "Appelée dans le nouveau processus : il finit avec celui-ci, même par kill -9. Sous Linux"
        " seulement."
    ),
    "It inherits what lock() has locked.": "Elle hérite de ce que lock() a verrouillé.",
    "What it has started ends too, and frees the lock: a second try need not wait.": (
        "Ce qu'elle a lancé finit aussi et libère le verrou : un second essai n'a pas à attendre."
    ),
    "A signal that comes within the block takes effect at its end.": (
        "Un signal qui arrive pendant le bloc prend effet à sa fin."
    ),
    "What a signal does; only the first one: whoever presses Ctrl-C twice does not interrupt the way back.": "Ce que fait un signal, et seulement le premier : appuyer deux fois sur Ctrl-C n'interrompt pas le retour.",
    "Runs a command whose output goes to a file. Where it fails, its last lines are the reason.": (
        "Lance une commande dont la sortie va dans un fichier. Si elle échoue, ses dernières lignes"
        " sont la raison."
    ),
    "As run_into(), but returns what the command says.": (
        "Comme run_into(), mais rend ce que dit la commande."
    ),
    "Locks the file, or refuses. Commands inherit the lock: it is gone with the last of them,"
    " however they end.": (
        "Verrouille le fichier, ou refuse. Les commandes héritent du verrou : il disparaît avec la"
        " dernière, quelle que soit sa fin."
    ),
    "Those of a run that was killed end within a moment.": (
        "Celles d'un passage tué finissent en un instant."
    ),
    # deploy/server/environment.py
    "What passes from the shell that starts a command or supervisord: these variables, and no"
    " other.": (
        "Ce qui passe du shell qui lance une commande ou supervisord : ces variables, et aucune"
        " autre."
    ),
    "For all: the folders of this machine, its terminal, its proxy and its certificates": (
        "Pour tous : les dossiers de cette machine, son terminal, son proxy et ses certificats"
    ),
    "For pip and uv too: how this machine finds them, where it gets packages, and where it keeps"
    " them": (
        "Pour pip et uv en plus : comment la machine les trouve, d'où elle tire ses paquets, et où"
        " elle les garde"
    ),
    "For the commands, which start all of these; and for ssh, where it finds the keys": "Pour les commandes, qui lancent tous ceux-là ; et pour ssh, où il trouve les clés",
    "And for PostgreSQL's programs: where this machine's server listens": (
        "Et pour les programmes de PostgreSQL : où écoute le serveur de cette machine"
    ),
    "Removes the others. The locale is the server's everywhere.": (
        "Retire les autres. La locale est partout celle du serveur."
    ),
    # deploy/server/facts.py
    "The facts of the site on its server. Each stands in this one place; deploy/install.sh brings a"
    " change to the machine.": (
        "Les données du site sur son serveur. Chacune n'est qu'ici ; deploy/install.sh porte un"
        " changement sur la machine."
    ),
    "The folder of the site": "Le dossier du site",
    "The user that runs it": "L'utilisateur qui le fait tourner",
    "The host name that visitors ask for": "Le nom d'hôte que demandent les visiteurs",
    "The name of its database, where that is made for it": (
        "Le nom de sa base de données, là où elle est créée pour lui"
    ),
    "The package with its settings": "Le paquet où se trouvent ses réglages",
    "supervisord's name of the gunicorn masters, as [fcgi-program:...] in deploy/supervisord.conf"
    " has it": (
        "Le nom des maîtres gunicorn chez supervisord, celui de [fcgi-program:...] dans"
        " deploy/supervisord.conf"
    ),
    # deploy/server/health.py
    "Starts, reloads and examines the site, as its user: for the init script, systemd and the other"
    " commands. Exit codes: LSB Core 5.0, 22.2.": (
        "Démarre, recharge et examine le site, en tant que son utilisateur : pour le script d'init,"
        " systemd et les autres commandes. Codes de sortie : LSB Core 5.0, 22.2."
    ),
    "Links of this path stay: through current, the sentences below name no single release.": (
        "Les liens de ce chemin restent : par current, les phrases ci-dessous ne nomment aucune"
        " version."
    ),
    "The site may take this long to come up.": "Le site peut prendre ce temps pour démarrer.",
    "A supervisord that hangs would let supervisorctl wait for ever; a worker may take its time to"
    " end its task.": (
        "Un supervisord bloqué ferait attendre supervisorctl sans fin ; un worker, lui, peut"
        " prendre son temps pour finir sa tâche."
    ),
    "Exit codes: an error in the config; a state that cannot be told": (
        "Codes de sortie : une erreur dans la configuration ; un état que l'on ne peut pas dire"
    ),
    "Has supervisord's own code read the config; nothing is started.": (
        "Fait lire la configuration par le code de supervisord lui-même ; rien n'est démarré."
    ),
    "it refuses {config}: {reason}": "il refuse {config} : {reason}",
    "One that runs knows which addresses are its own: deploy/supervisor_plugin/config_check.py.": (
        "Celui qui tourne sait quelles adresses sont les siennes :"
        " deploy/supervisor_plugin/config_check.py."
    ),
    "Starts supervisord in the background.": "Démarre supervisord en arrière-plan.",
    "supervisord could not write over one that root left.": (
        "supervisord ne pourrait récrire celui que root aurait laissé."
    ),
    "it did not start with {config}: {reason}": "il n'a pas démarré avec {config} : {reason}",
    "Gives what has failed or was stopped another try.": (
        "Donne un nouvel essai à ce qui a échoué ou a été arrêté."
    ),
    "It may have been started meanwhile.": "Il a pu être démarré entre-temps.",
    "Reads the config again, and replaces the masters and what else runs the code one after the"
    " other: meanwhile the others serve.": (
        "Relit la configuration, et remplace l'un après l'autre les maîtres et ce qui fait aussi"
        " tourner le code : pendant ce temps, les autres servent."
    ),
    "it did not apply {config}: the logs in {logs} tell why.": (
        "il n'a pas appliqué {config} : les journaux de {logs} disent pourquoi."
    ),
    "not all has started again: the logs in {logs} tell why.": (
        "tout n'a pas redémarré : les journaux de {logs} disent pourquoi."
    ),
    "Shows every program, as supervisorctl does. A failure says that one that should run does not,"
    " or that the site gives no page.": (
        "Montre chaque programme, comme supervisorctl. Un échec dit que l'un d'eux devrait tourner"
        " et ne tourne pas, ou que le site ne rend pas de page."
    ),
    "Waits until the programs have started, and asks the site for an answer: gunicorn can run and"
    " each of its pages fail.": (
        "Attend que les programmes aient démarré, puis demande une réponse au site : gunicorn peut"
        " tourner et toute page échouer."
    ),
    "Waiting for the site": "Attente du site",
    "http://{address}/healthz gives an error or nothing: the logs in {logs} tell why.": (
        "http://{address}/healthz donne une erreur ou rien : les journaux de {logs} disent"
        " pourquoi."
    ),
    "it runs, but does not answer: the logs in {logs} tell why.": (
        "il tourne, mais ne répond pas : les journaux de {logs} disent pourquoi."
    ),
    "By name, of those that count: a program beside the site may have ended, or wait to be"
    " started.": (
        "Par nom, de ceux qui comptent : un programme à côté du site peut avoir fini, ou attendre"
        " qu'on le lance."
    ),
    "not every program runs ({states}): the logs in {logs} tell why.": (
        "tous les programmes ne tournent pas ({states}) : les journaux de {logs} disent pourquoi."
    ),
    "Why supervisord ends: its last two lines, but for a hint at its help.": (
        "Pourquoi supervisord finit : ses deux dernières lignes, à un renvoi à son aide près."
    ),
    # deploy/server/https.py
    "HTTPS in .env, as the settings read it and as the site that runs has it.": (
        "HTTPS dans .env, tel que la configuration le lit et tel que le site en marche l'a pris."
    ),
    "What Django makes of it": "Ce que Django en fait",
    "Whether .env has the domain in ALLOWED_HOSTS, and HTTPS on.": (
        "Le .env a-t-il le domaine dans ALLOWED_HOSTS, et HTTPS est-il actif ?"
    ),
    "Django refuses the settings, .env among them: {reason}": (
        "Django refuse la configuration, dont .env : {reason}"
    ),
    "The same of the site that runs: it refuses an unknown host, and sends visitors to https.": (
        "De même pour le site en marche : il refuse un hôte inconnu, et renvoie ses visiteurs vers"
        " https."
    ),
    "No other line changes.": "Aucune autre ligne ne change.",
    # deploy/server/install.py
    "Makes a Debian or Ubuntu machine the site's server: the steps, in their order.": (
        "Fait d'une machine Debian ou Ubuntu le serveur du site : les étapes, dans l'ordre."
    ),
    "supervisord may take this long to open its socket.": (
        "Le temps laissé à supervisord pour ouvrir sa socket."
    ),
    "Only root may do this: sudo deploy/install.sh": (
        "Seul root a ce droit : sudo deploy/install.sh"
    ),
    "Makes this machine the site's server: starts it at each boot, behind nginx.": (
        "Fait de cette machine le serveur du site : il démarre à chaque démarrage, derrière nginx."
    ),
    "name of the service (default: supervisord); each site has its own": (
        "nom du service (sinon : supervisord) ; chaque site a le sien"
    ),
    "NAME": "NOM",
    "ask for the password that sudo wants there": "demande le mot de passe que sudo veut là-bas",
    "what to do there": "que faire là-bas",
    "WORD": "MOT",
    "for the command there": "pour la commande de là-bas",
    "They are not looked at here, options neither.": "On ne les regarde pas ici, les options non plus.",
    "{program} needs one of these words: {commands}.": "{program} veut un de ces mots : {commands}.",
    "With Ansible, in var; a second command is refused meanwhile.": "Avec Ansible, dans var ; une seconde commande est refusée entre-temps.",
    "Another {program} is making {venv}: wait until it has ended.": "Un autre {program} fait {venv} : attendez qu'il ait fini.",
    "Those of the inventory, and how each is reached.": "Ceux de l'inventaire, et comment on atteint chacun.",
    "Of each server that something was done on: the exit code": "Pour chaque serveur où l'on a fait quelque chose : le code de sortie",
    "And what else is to be said of it in the end than that it is done": "Et ce qu'il y a d'autre à en dire à la fin que « terminé »",
    "By group, their names; and by name, how Ansible reaches them.": "Leurs noms, par groupe ; et par nom, comment Ansible les atteint.",
    "Those of these groups that are meant, each once.": "Ceux de ces groupes dont il s'agit, chacun une fois.",
    "The command that was asked for.": "La commande demandée.",
    "Has Ansible run it there, with what it shows; returns the exit code.": "La fait lancer là-bas par Ansible, qui montre ce qu'elle dit ; rend le code de sortie.",
    "Of what was done there, the worst counts.": "De ce qui y a été fait, le pire compte.",
    "needs: what must be there, as a rule the site. quiet: what the command says is returned, and nothing shown.": "needs : ce qui doit y être, en général le site. quiet : ce que dit la commande est rendu, et rien n'est montré.",
    "Without a site, the other commands are not there.": "Sans site, les autres commandes n'y sont pas.",
    "Not on a command line, which everybody sees": "Pas sur une ligne de commande, que tout le monde voit",
    "Runs it there with the terminal, if there is one.": "La lance là-bas avec le terminal, s'il y en a un.",
    "The line of sh that runs it so.": "La ligne de sh qui l'exécute ainsi.",
    "What runs a line of sh there, as the inventory has the server reached.": "Ce qui exécute une ligne de sh là-bas, le serveur étant joint comme le dit l'inventaire.",
    "{file} has no server of this name: {name}.": "{file} n'a pas de serveur de ce nom : {name}.",
    "Once for all servers.": "Une fois pour tous les serveurs.",
    "The password that sudo wants there: ": "Le mot de passe que veut sudo là-bas : ",
    "{folder} has no commit yet, and a commit is what is sent: git init, git add --all, git commit": "{folder} n'a pas encore de commit, et c'est un commit qui est envoyé : git init, git add --all, git commit",
    "The servers have commit {commit}, and {folder} does not know it: git fetch, then try again.": "Les serveurs ont le commit {commit}, que {folder} ne connaît pas : git fetch, puis recommencez.",
    "Left out, as it is not committed ({number} in all): {names}": "Laissé de côté, faute de commit ({number} en tout) : {names}",
    "Short, as git shows it.": "Court, tel que git le montre.",
    "show every change, make none": "montrer chaque changement, n'en faire aucun",
    "remove all that this command has made, but ask before the data": (
        "retirer tout ce que cette commande a fait, en demandant pour les données"
    ),
    "remove the data too, without asking": "retirer aussi les données, sans demander",
    "Of the release that serves, where an upgrade of the system has replaced the Python it was made"
    " with. Returns whether it did.": (
        "Celui de la version en service, quand une mise à niveau du système a remplacé le Python"
        " dont il est fait. Dit s'il l'a été."
    ),
    "Making the venv, or taking the one that fits": (
        "Création du venv, ou reprise de celui qui convient"
    ),
    "Where deploy/server/facts.py names another user than before. The folder itself comes last:"
    " until then, a second run goes on.": (
        "Quand deploy/server/facts.py nomme un autre utilisateur qu'avant. Le dossier lui-même"
        " vient en dernier : jusque-là, une seconde exécution reprend le travail."
    ),
    "Root's, but for var. Others only get through var, nginx to the static files.": (
        "À root, sauf var. Les autres ne font que traverser var, comme nginx vers les fichiers"
        " statiques."
    ),
    "deploy/release.sh makes those that follow.": "deploy/release.sh fait les suivantes.",
    "As its owner: root follows no link that the site may have put there.": (
        "En tant que propriétaire : root ne suit aucun lien que le site aurait pu poser là."
    ),
    "There is no first release, as said above: nothing was started.": (
        "Il n'y a pas de première version, comme dit plus haut : rien n'a été démarré."
    ),
    "Brings what this machine has in common with others, if there are any, into .env and to the broker.": "Porte dans .env et chez le courtier ce que cette machine partage avec d'autres, s'il y en a.",
    "One that runs is told what has changed in .env; supervisord itself must be new where its"
    " Python is.": (
        "S'il tourne déjà, il apprend ce qui a changé dans .env ; si son Python est neuf,"
        " supervisord lui-même doit l'être."
    ),
    "supervisord does not run: {logs} tells why.": (
        "supervisord ne tourne pas ; pour savoir pourquoi : {logs}"
    ),
    "Whether the site that runs was started with another .env. One that does not answer has none.": (
        "Le site en marche a-t-il démarré avec un autre .env ? Un site qui ne répond pas n'en a"
        " pas."
    ),
    "nginx first: no visitor is sent to https before it is there. What fails leaves nginx and .env"
    " as they were.": (
        "D'abord nginx : aucun visiteur n'est renvoyé vers un https qui n'est pas encore là. Un"
        " échec laisse nginx et .env comme avant."
    ),
    "What has been put back.": "Ce qui a été remis comme avant.",
    "The site answers at {address}": "Le site répond à {address}",
    "It has no certificate: whoever is on the way reads and changes its pages. To get one, and to"
    " use it:": (
        "Il n'a pas de certificat : quiconque se trouve en chemin peut lire et changer ses pages."
        " Pour en obtenir un, puis s'en servir :"
    ),
    "supervisorctl is that of Debian's package here. The site's: {command}": (
        "Ici, supervisorctl est celui du paquet de Debian. Celui du site : {command}"
    ),
    # deploy/server/launch.sh
    "Runs a command of this package with the first Python that is new enough: launch.sh COMMAND"
    " [WORD]...": (
        "Lance une commande de ce paquet avec le premier Python assez récent : launch.sh COMMANDE"
        " [MOT]..."
    ),
    "After a bare su, PATH lacks the folders of what only root runs.": (
        "Après un simple su, il manque à PATH les dossiers de ce que seul root exécute."
    ),
    "-I: Python heeds no variable of the shell (PYTHONHOME, PYTHONPATH). -B: running this leaves"
    " nothing behind in the folder of the code.": (
        "-I : Python n'écoute aucune variable du shell (PYTHONHOME, PYTHONPATH). -B : ne rien"
        " laisser derrière soi dans le dossier du code."
    ),
    "Python 3.10 or later is needed and was not found. On Debian or Ubuntu: sudo apt install"
    " python3 python3-venv": (
        "Il faut Python 3.10 ou plus récent, et il n'y en a pas. Sous Debian ou Ubuntu : sudo apt"
        " install python3 python3-venv"
    ),
    # deploy/server/machine.py
    "What deploy/install.sh must find, each said with its remedy, and what it finds.": (
        "Ce que deploy/install.sh doit trouver, chaque refus dit avec son remède, et ce qu'il"
        " trouve."
    ),
    "Free space for the venv, the code and the first logs; and for the files of the service": (
        "Place libre pour le venv, le code et les premiers journaux ; et pour les fichiers du"
        " service"
    ),
    "Refuses what cannot work, before anything changes.": (
        "Refuse ce qui ne peut pas marcher, avant tout changement."
    ),
    "{folder} is where the site will live: move this code elsewhere, below /root say, and install"
    " it from there.": (
        "{folder} est la place du site installé : mettez ce code ailleurs, sous /root par exemple,"
        " et installez-le de là."
    ),
    "{folder} is there and belongs to {user}: move it, or give it to root (chown).": (
        "{folder} existe et appartient à {user} : déplacez-le, ou donnez-le à root (chown)."
    ),
    "What deploy/servers.sh has done on a machine in [database] or [front]: nothing of the site runs there.": "Ce que deploy/servers.sh fait faire sur une machine de [database] ou de [front] : rien du site n'y tourne.",
    "The machine's PostgreSQL starts with the network, or its private address would not be there yet.": "Le PostgreSQL de la machine démarre une fois le réseau là, sans quoi son adresse privée n'y serait pas encore.",
    "In PostgreSQL's list of who may come, these lines are the site's.": "Dans la liste de PostgreSQL de ceux qui peuvent venir, ces lignes sont celles du site.",
    "What a run that was killed has written, this one tells whom it is for: nothing is taken as told.": "Ce qu'une exécution tuée a écrit, celle-ci l'annonce à qui de droit : rien n'est tenu pour dit.",
    "A role with a password (SCRAM), its database, and the private address for the site's machines.": "Un rôle avec un mot de passe (SCRAM), sa base, et l'adresse privée pour les machines du site.",
    "Giving the site its role": "Création du rôle du site",
    "By standard input: everybody on the machine sees a command line.": "Par l'entrée standard : une ligne de commande, tous la voient sur la machine.",
    "Source: PostgreSQL's manual, 20.1. The pg_hba.conf File.": "Source : manuel de PostgreSQL, 20.1. The pg_hba.conf File.",
    "nginx with the visitors: it asks the machines of [web] that serve the fleet's release.": "Le nginx des visiteurs : il demande aux machines de [web] qui servent la version de l'ensemble.",
    "Some programs are missing: sudo apt install {names}": (
        "Il manque des programmes : sudo apt install {names}"
    ),
    "It has no certificate: whoever is on the way reads and changes its pages. To get one there, and to use it:": "Il n'a pas de certificat : qui se trouve en chemin lit et change ses pages. Pour en obtenir un là-bas, et s'en servir :",
    "One that fails is left alone for as long as it takes to try whether it is back.": "Celui qui échoue est laissé tranquille, le temps d'essayer s'il est de retour.",
    "Sites of one user read each other's secrets. What is so already goes on.": (
        "Les sites d'un même utilisateur lisent les secrets l'un de l'autre. Ce qui est déjà ainsi"
        " continue."
    ),
    "{user} runs the site in {folder} too, and each could read the other's secrets: write another"
    " USER into deploy/server/facts.py, then run this again.": (
        "{user} fait aussi tourner le site de {folder}, et chacun pourrait lire les secrets de"
        " l'autre : nommez un autre USER dans deploy/server/facts.py, puis relancez cette commande."
    ),
    "{file}: nginx cannot use {address}. Write socket = tcp://127.0.0.1:8000, say.": (
        "{file} : nginx ne peut pas utiliser {address}. Écrivez socket = tcp://127.0.0.1:8000, par"
        " exemple."
    ),
    "The release that serves must listen where nginx will ask.": (
        "La version en service doit écouter là où nginx demandera."
    ),
    "{file} has other addresses than the release that serves: deploy/release.sh first, then this"
    " again.": (
        "{file} a d'autres adresses que la version en service : d'abord deploy/release.sh, puis de"
        " nouveau cette commande."
    ),
    "The .env must fit the host name: but for HTTPS=on, it is the administrator's.": (
        "Le .env doit convenir au nom d'hôte : HTTPS=on mis à part, il est à l'administrateur."
    ),
    "ALLOWED_HOSTS in {env} lacks {domain}, and the site would refuse its visitors: add it there,"
    " then run this again.": (
        "{domain} manque à ALLOWED_HOSTS dans {env}, et le site refuserait ses visiteurs :"
        " ajoutez-le, puis relancez cette commande."
    ),
    "HTTPS is on in {env}, and there is no certificate for {domain} ({certificate}): get one, or"
    " write HTTPS=off, then run this again.": (
        "HTTPS est actif dans {env}, et il n'y a pas de certificat pour {domain} ({certificate}) :"
        " obtenez-en un, ou écrivez HTTPS=off, puis relancez cette commande."
    ),
    "The site's user; None as long as the machine has none of this name.": (
        "L'utilisateur du site ; None tant que la machine n'en a pas de ce nom."
    ),
    # deploy/server/mail_sender.py
    "Sends the mails of var/mails to ADMINS, as .env says. It reads no settings of Django's: "
    "it works with the site's code broken.": (
        "Envoie aux ADMINS les courriels de var/mails, comme le dit .env. Il ne lit pas les "
        "réglages de Django : il marche même si le code du site est cassé."
    ),
    "What this needs of .env": "Ce qu'il lui faut de .env",
    "Seconds that a mail server may take for each answer, and all mails together before the "
    "others wait for the next time": (
        "Secondes qu'un serveur de courriel peut prendre pour chaque réponse, et tous les "
        "courriels ensemble avant que les autres attendent la prochaine fois"
    ),
    "The same error, or the death of the same program, is told at most once in so many "
    "seconds. What could not be sent for a day is dropped, and so is what is more than this.": (
        "La même erreur, ou la mort du même programme, est dite au plus une fois en tant de "
        "secondes. Ce qui n'a pu partir en un jour est abandonné, et ce qui dépasse ce nombre "
        "aussi."
    ),
    "Sends those that are due. Those that cannot be sent stay for the next time.": (
        "Envoie ceux dont c'est le moment. Ceux qui ne peuvent partir restent pour la prochaine "
        "fois."
    ),
    "The mails in {folder} have to wait, for EMAIL_URL of {env} leads to no server that takes them "
    "({reason}).": (
        "Les courriels de {folder} doivent attendre, car EMAIL_URL de {env} ne mène à aucun serveur qui "
        "les prenne ({reason})."
    ),
    "BlockingIOError: another is sending them.": (
        "BlockingIOError : un autre est en train de les envoyer."
    ),
    "From the oldest to the newest.": "Du plus ancien au plus récent.",
    "Dropped, for it could not be sent: {mail}": "Abandonné, car il n'a pu partir : {mail}",
    "Its subject and its text, with a line end between.": (
        "Son sujet et son texte, séparés par une fin de ligne."
    ),
    "The file whose time is that of the last mail of this name.": (
        "Le fichier dont l'heure est celle du dernier courriel de ce nom."
    ),
    "Whether one of this name went within the hour.": (
        "Si un courriel de ce nom est parti dans l'heure."
    ),
    "The same has come again since, {number} times.": (
        "La même chose est revenue depuis, {number} fois."
    ),
    "The server does not want this one; it may take the others.": (
        "Le serveur ne veut pas de celui-ci ; il prendra peut-être les autres."
    ),
    "Gives the function that sends a subject and a text, as EMAIL_URL says; all that is not "
    "SMTP is written to the log.": (
        "Donne la fonction qui envoie un sujet et un texte, comme le dit EMAIL_URL ; tout ce qui "
        "n'est pas SMTP est écrit dans le journal."
    ),
    "ADMINS is empty": "ADMINS est vide",
    "Nobody's holiday note answers it.": "Aucun message d'absence n'y répond.",
    "Without what a terminal would obey, or a mail cannot hold.": (
        "Sans ce à quoi un terminal obéirait, ou qu'un courriel ne peut contenir."
    ),
    "EMAIL_URL as Django's settings, ADMINS and the sender: by the rules of django-environ, "
    "which the settings read it with.": (
        "EMAIL_URL comme réglages de Django, les ADMINS et l'expéditeur : selon les règles de "
        "django-environ, par lequel les réglages le lisent."
    ),
    "Imported here: it takes memory, and most days there is nothing to send.": (
        "Importé ici : il prend de la mémoire, et presque tous les jours il n'y a rien à envoyer."
    ),
    "it is no such address": "ce n'est pas une telle adresse",
    # deploy/server/mails.py
    "The mails to ADMINS. Whoever has one to send puts it into var/mails, which takes no "
    "time; deploy/server/mail_sender.py sends it.": (
        "Les courriels aux ADMINS. Qui en a un à envoyer le met dans var/mails, ce qui ne prend "
        "pas de temps ; deploy/server/mail_sender.py l'envoie."
    ),
    "Where they wait, in var/": "Où ils attendent, dans var/",
    "Bytes at the end of a log in which its last lines are looked for, and how many of these "
    "are sent": (
        "Octets de la fin d'un journal où l'on cherche ses dernières lignes, et combien de "
        "celles-ci partent"
    ),
    "Writes a mail into its folder. One with the name once waits there a single time: when "
    "it comes again, that is counted.": (
        "Écrit un courriel dans leur dossier. Celui qui a le nom once n'y attend qu'une fois : "
        "quand il revient, on le compte."
    ),
    "What begins with a dot is no mail: half of one is never sent.": (
        "Ce qui commence par un point n'est pas un courriel : une moitié ne part jamais."
    ),
    "The file with a dot for each time that this mail has come again.": (
        "Le fichier qui a un point pour chaque fois que ce courriel est revenu."
    ),
    "The last lines of a log, which may be of any program; empty where there is none.": (
        "Les dernières lignes d'un journal, qui peut être de n'importe quel programme ; rien là "
        "où il n'y en a pas."
    ),
    # deploy/server/manage.py
    "Runs a command of Django's on the server: as the site's user, with its settings, and nothing"
    " of root's.": (
        "Lance une commande de Django sur le serveur : sous l'utilisateur du site, avec ses"
        " réglages, et rien de root."
    ),
    "Into root's terminal, the site could type commands: it has one of its own, or none.": "Dans le terminal de root, le site pourrait taper des commandes : il a le sien, ou aucun.",
    # deploy/server/nginx.py
    "nginx in front of the site: what it must be like, what it is told, and what it then answers.": (
        "nginx devant le site : comment il doit être, ce qu'on lui dit, et ce qu'il répond ensuite."
    ),
    "Seconds until nginx's workers have taken up new settings": (
        "Secondes que nginx peut mettre à appliquer une nouvelle configuration"
    ),
    "It reads the folders that Debian's reads, and what it has is in order.": (
        "Il lit les dossiers que lit celui de Debian, et ce qu'il a déjà est en ordre."
    ),
    "nginx does not read {folder}, unlike Debian's own: make {folders}, write \"include"
    ' {folder}/*;" into the http block of {config}, then run this again.': (
        "nginx ne lit pas {folder}, à la différence de celui de Debian : créez {folders}, écrivez"
        ' "include {folder}/*;" dans le bloc http de {config}, puis relancez cette commande.'
    ),
    "Returns the warnings of nginx. What it refuses is an error, in a sentence.": (
        "Donne les avertissements de nginx. Ce qu'il refuse est une erreur, en une phrase."
    ),
    "nginx refuses its settings: {reason}": "nginx refuse sa configuration : {reason}",
    "nginx reads its files, if it accepts them. Of two sites of one name, only one would be"
    " seen.": (
        "nginx lit ses fichiers, s'il les accepte. De deux sites de même nom, on n'en verrait"
        " qu'un."
    ),
    "{domain} is the name of another site of nginx, too (nginx -T): only one may have it.": (
        "Un autre site de nginx s'appelle aussi {domain} (nginx -T) : un seul peut porter ce nom."
    ),
    "Its addresses here: (host, port). The last one is the visitors'.": "Ses adresses ici : (hôte, port). La dernière est celle des visiteurs.",
    "Whether visitors come by http.": "Si les visiteurs viennent en http.",
    "What a visitor gets from nginx: status and text, or the reason why nothing.": (
        "Ce qu'un visiteur obtient de nginx : code et texte, ou la raison pour laquelle il n'a"
        " rien."
    ),
    "no answer": "pas de réponse",
    "Whether visitors get the release that is current.": (
        "Les visiteurs obtiennent-ils la version que désigne current ?"
    ),
    "Asks as a visitor does: another site may have the name, another program the port.": (
        "Demande comme un visiteur : un autre site peut avoir le nom, un autre programme le port."
    ),
    "Asking for {address}": "Demande de {address}",
    '{address} gives "{found}": /var/log/nginx/{domain}.front.error.log tells why.': "{address} donne « {found} » : /var/log/nginx/{domain}.front.error.log dit pourquoi.",
    '{address}healthz gives "{status} {said}", not this site: nginx does not listen there, or'
    " another site does (nginx -T, ss -tlnp, /var/log/nginx/error.log).": (
        '{address}healthz donne "{status} {said}" et non ce site : nginx n\'y écoute pas, ou un'
        " autre site y répond (nginx -T, ss -tlnp, /var/log/nginx/error.log)."
    ),
    "With those that have been rotated.": "Avec ceux d'avant les rotations.",
    # deploy/server/options.py
    "The options of the commands: argparse, in the site's language and with errors of one sentence.": (
        "Les options des commandes : argparse, dans la langue du site et avec des erreurs d'une"
        " phrase."
    ),
    "A parser whose options all stand in one group, self.options.": (
        "Un analyseur dont toutes les options sont d'un même groupe, self.options."
    ),
    "options": "options ",
    "show this help and end": "montrer cette aide et finir",
    "A word without a name, which may be left out.": "Un mot sans nom, que l'on peut omettre.",
    "Where the packages of the venv come from.": "D'où viennent les paquets du venv.",
    "also take packages from this folder": "prendre aussi des paquets dans ce dossier",
    "DIR": "DOSSIER",
    "use no network; needs --wheelhouse DIR": "sans réseau ; exige --wheelhouse DOSSIER",
    "another server has rehearsed this code, and migrated the database": "un autre serveur a répété ce code, et migré la base",
    "{option} lacks its value, or takes none; {program} --help lists the options.": (
        "{option} attend une valeur, ou n'en prend pas ; {program} --help énumère les options."
    ),
    "{option} is not an option; {program} --help lists them.": (
        "{option} n'est pas une option ; {program} --help les énumère."
    ),
    "--offline needs --wheelhouse DIR, a folder with the packages.": (
        "--offline exige --wheelhouse DOSSIER, un dossier qui contient les paquets."
    ),
    "argparse writes this word by itself, in English.": (
        "argparse écrit ce mot de lui-même, en anglais."
    ),
    "Usage:": "Usage :",
    '--wheelhouse needs a folder that exists, not "{value}".': (
        "--wheelhouse exige un dossier qui existe, et non « {value} »."
    ),
    # deploy/server/packages.py
    "Adds packages and upgrades them: renews the locks, requirements.txt and "
    "requirements-dev.txt, by the venv's uv.": (
        "Ajoute des paquets et les met à jour : refait les verrous, requirements.txt et "
        "requirements-dev.txt, avec le uv du venv."
    ),
    "The second one takes its versions from the first; the third is that of deploy/servers.sh.": "La deuxième tient ses versions de la première ; la troisième est celle de deploy/servers.sh.",
    "The header of each lock names it: Dependabot looks there.": (
        "L'en-tête de chaque verrou la nomme : c'est là que Dependabot regarde."
    ),
    'What may stand in requirements.in: django, celery[redis], "django>=5.2,<5.3"': (
        'Ce que requirements.in peut contenir : django, celery[redis], "django>=5.2,<5.3"'
    ),
    "Renews the lists of all packages, with the version and the fingerprint of each.": (
        "Refait les listes de tous les paquets, avec la version et l'empreinte de chacun."
    ),
    "add writes to requirements.in, upgrade takes newer versions of these packages or of "
    "all; without either, requirements.in may have changed.": (
        "add écrit dans requirements.in, upgrade prend des versions plus récentes de ces "
        "paquets, ou de tous ; sans l'un ni l'autre, les listes suivent ce que vous avez changé "
        "dans requirements.in."
    ),
    "what else to do": "ce qu'il faut faire de plus",
    "a package, as django": "un paquet, django par exemple",
    "uv is missing in the venv: ./bootstrap.sh --dev adds it.": (
        "uv manque dans le venv : ./bootstrap.sh --dev l'y ajoute."
    ),
    "Renewing {lock}": "Mise à jour de {lock}",
    "Nothing has changed.": "Rien n'a changé.",
    "Now run ./bootstrap.sh, which installs what the lists say, and your tests.": (
        "Lancez maintenant ./bootstrap.sh, qui installe ce que disent les listes, puis vos tests."
    ),
    "By name, of all that is locked. Another Python may have another version.": (
        "Par nom, pour tout ce qui est verrouillé. Un autre Python peut avoir une autre version."
    ),
    "The new text of requirements.in, and uv's options.": (
        "Le nouveau texte de requirements.in, et les options de uv."
    ),
    "{action} is unknown: write add, upgrade or nothing; ./packages.sh --help says more.": (
        "{action} est inconnu : écrivez add, upgrade ou rien ; ./packages.sh --help en dit plus."
    ),
    "add needs the name of a package: ./packages.sh add NAME": (
        "add exige le nom d'un paquet : ./packages.sh add NOM"
    ),
    '"{name}" is not the name of a package: write django, say, or with a choice of '
    'versions "django>=5.2,<5.3".': (
        "« {name} » n'est pas un nom de paquet : écrivez django, par exemple, ou avec un choix "
        'de versions "django>=5.2,<5.3".'
    ),
    "{name} stands in requirements.in already: ./packages.sh upgrade {name}, or change its "
    "line there.": (
        "{name} est déjà dans requirements.in : ./packages.sh upgrade {name}, ou changez-y sa "
        "ligne."
    ),
    "{name} is not in requirements.txt or requirements-dev.txt: ./packages.sh add {name} "
    "adds it.": (
        "{name} n'est ni dans requirements.txt ni dans requirements-dev.txt : ./packages.sh add "
        "{name} l'y ajoute."
    ),
    "Not by a Python that uv would download": "Sans un Python que uv téléchargerait",
    # deploy/server/preflight.py
    "What must be so before a command changes anything, each said with its remedy.": (
        "Ce qui doit être vrai avant qu'une commande ne change rien ; sinon, la cause et le remède."
    ),
    'sun_path, less the ".PID" that supervisord adds while it binds: unix(7), and 4.4BSD\'s on'
    " macOS": (
        "sun_path, moins le « .PID » que supervisord ajoute en l'ouvrant : unix(7), et 4.4BSD sur"
        " macOS"
    ),
    "The folder may be missing yet: then the disk of the next one above counts. With least, no more"
    " than that must be free.": (
        "Le dossier peut manquer encore : alors compte le disque du premier au-dessus. Avec least,"
        " il suffit que cela soit libre."
    ),
    "The disk of {folder} has {free} MB free and the site needs {needed}: free some and run"
    " {program} again.": (
        "Le disque de {folder} a {free} Mo de libres et il en faut {needed} au site : faites de la"
        " place et relancez {program}."
    ),
    "In supervisord.conf it stands for %(here)s, where these characters mean something.": (
        "Dans supervisord.conf il tient lieu de %(here)s, où ces caractères ont un sens."
    ),
    "supervisord cannot work below {folder}, for the character {character}: move the project to a"
    " folder whose path is without it.": (
        "supervisord ne peut pas marcher sous {folder}, à cause du caractère {character} : déplacez"
        " le projet dans un dossier dont le chemin s'en passe."
    ),
    "The UNIX socket {path} would have {length} bytes and the system takes {limit}: move the"
    " project to a folder with a shorter path.": (
        "La socket UNIX {path} aurait {length} octets et le système en admet {limit} : déplacez le"
        " projet dans un dossier au chemin plus court."
    ),
    "No program may listen on these addresses yet; they stand in this config.": (
        "Aucun programme ne doit déjà écouter sur ces adresses, qui sont dans cette configuration."
    ),
    "{address} cannot be used ({reason}): stop the program that listens there, or change the"
    " address in {config}.": (
        "{address} est inutilisable ({reason}) : arrêtez le programme qui y écoute, ou changez"
        " l'adresse dans {config}."
    ),
    "redis-server is missing, which keeps the tasks that wait: sudo apt install redis-server "
    "(with Homebrew: brew install redis).": (
        "Il manque redis-server, qui garde les tâches en attente : sudo apt install redis-server "
        "(avec Homebrew : brew install redis)."
    ),
    "The site's user must be able to run this Python: one in root's home is out of reach.": (
        "L'utilisateur du site doit pouvoir exécuter ce Python : dans le dossier de root, il est"
        " hors de portée."
    ),
    "{user} cannot run {python}: take a Python that everybody can (sudo apt install python3"
    " python3-venv).": (
        "{user} ne peut pas exécuter {python} : prenez un Python ouvert à tous (sudo apt install"
        " python3 python3-venv)."
    ),
    # deploy/server/probes.py
    "Asks programs that run: whether they listen, and what their pages say.": (
        "Interroge des programmes en marche : écoutent-ils, et que disent leurs pages ?"
    ),
    "Whether a program is at the other end of a UNIX socket.": (
        "Un programme est-il à l'autre bout d'une socket UNIX ?"
    ),
    "Gets the status and the text of a page, by a new connection, as a proxy would; by TLS, as a"
    " visitor who takes any certificate. OSError: there is no answer.": (
        "Demande le code et le texte d'une page, par une nouvelle connexion, comme un proxy ; par"
        " TLS, comme un visiteur qui accepte tout certificat. OSError : pas de réponse."
    ),
    "To this machine alone the site says which release answers.": (
        "À cette machine seule, le site dit quelle version répond."
    ),
    # deploy/server/release.py
    "Puts the code of this folder into service on a server: the steps, in their order.": (
        "Met le code de ce dossier en service sur un serveur : les étapes, dans leur ordre."
    ),
    "Free space for a venv, and twice the static files": (
        "Place libre pour un venv, et deux fois les fichiers statiques"
    ),
    "The site goes first.": "Le site passe d'abord.",
    "{release} is in place ({seconds} s).": "{release} est en place ({seconds} s).",
    "Puts the code of this folder into service on a server, without losing a request.": (
        "Met en service sur un serveur le code de ce dossier, sans perdre une requête."
    ),
    "show the releases that are kept": "montrer les versions conservées",
    "put this release into service again, or the one that served before": (
        "remettre en service cette version, ou celle qui servait avant"
    ),
    "rehearse on the tables without their rows, where the database is too large to copy": (
        "répéter sur les tables sans leurs lignes, quand la base est trop grosse pour être copiée"
    ),
    "the folder of the site, by default": "le dossier du site, par défaut",
    "It refuses with a sentence whoever may not read them.": (
        "Il refuse d'une phrase qui n'a pas le droit de les lire."
    ),
    "--rollback goes there": "--rollback y revient",
    "serves": "en service",
    "Makes a release or goes back, and returns the name of the one that serves. What fails is"
    " undone.": (
        "Met une version en service ou revient en arrière, et rend le nom de celle qui sert. Ce qui"
        " échoue est défait."
    ),
    "{folder} holds the code itself: keep the code elsewhere, or name another folder (--into).": (
        "{folder} contient le code lui-même : gardez le code ailleurs, ou nommez un autre dossier"
        " (--into)."
    ),
    "A config that cannot be read is refused before anything is made.": (
        "Une configuration illisible est refusée avant que rien ne soit fait."
    ),
    "It is in place: what follows takes a moment, and is not worth a failure.": (
        "Elle est en place : la suite prend un instant, et ne vaut pas un échec."
    ),
    "The release to go back to: the one of this name, or the one that served before.": (
        "La version à laquelle revenir : celle de ce nom, ou celle qui servait avant."
    ),
    "{serves} is the oldest release in {folder}: there is nothing to go back to.": (
        "{serves} est la plus ancienne version de {folder} : il n'y a rien à quoi revenir."
    ),
    "{release} is the one that serves.": "{release} est celle qui sert.",
    "There is no release {name} in {folder}; there are: {names}.": (
        "Pas de version {name} dans {folder} ; il y a : {names}."
    ),
    "How a failure ends.": "Comment finit un échec.",
    "Nothing is in service yet.": "Rien n'est encore en service.",
    "{release} serves as before.": "{release} sert comme avant.",
    "{release} stays in place, but the site does not answer: {command}": (
        "{release} reste en place, mais le site ne répond pas : {command}"
    ),
    "Until the second migration, the site and its data stay untouched.": (
        "Jusqu'à la seconde migration, ni le site ni ses données ne sont touchés."
    ),
    "Copying the code": "Copie du code",
    "Rehearsal: copying the database": "Répétition : copie de la base de données",
    "Migrating the database": "Migration de la base de données",
    "Publishing the static files": "Publication des fichiers statiques",
    "What can be tried before it serves.": "Ce qui peut s'essayer avant qu'elle serve.",
    "Rehearsal: checking the settings": "Répétition : vérification des réglages",
    "Rehearsal: asking the database for its migrations": "Répétition : les migrations de la base",
    "Rehearsal: migrating the copy of the database": (
        "Répétition : migration de la copie de la base"
    ),
    "Rehearsal: collecting the static files": "Répétition : rassemblement des fichiers statiques",
    "Rehearsal: asking a worker for its tasks": "Répétition : un worker nomme ses tâches",
    "Not tried, as the copy has no rows: migrations that change rows, what the rows may "
    "refuse, and the home page.": (
        "Non essayés, puisque la copie n'a pas de lignes : les migrations qui modifient des "
        "lignes, ce que les lignes peuvent refuser, et la page d'accueil."
    ),
    "Rehearsal: asking for the home page": "Répétition : demande de la page d'accueil",
    "What the release changes for the data and for what waits.": "Ce que la version change pour les données et pour ce qui attend.",
    "It is whole and was in service: it needs no rehearsal.": (
        "Elle est entière et a déjà servi : elle se passe de répétition."
    ),
    "A failure from here on makes clean_up() go back.": (
        "Après un échec, à partir d'ici, clean_up() revient en arrière."
    ),
    "Restarting the site's programs, one after the other": (
        "Redémarrage des programmes du site, l'un après l'autre"
    ),
    "Asking the site which release serves": "Demande au site : quelle version répond",
    "supervisord does not run. To start it, as {user}: {command}": (
        "supervisord ne tourne pas. Pour le démarrer, en tant que {user}, tapez : {command}"
    ),
    "{config} has changed, and supervisord reads it only when told ({changes}). For its programs:"
    " {command}. For all else, stop supervisord and start it again.": (
        "{config} a changé, et supervisord ne le relit que si on le lui dit ({changes}). Pour ses"
        " programmes : {command}. Pour tout le reste, arrêtez supervisord et relancez-le."
    ),
    "What install.sh would change: the user, the domain, and whatever else the service is made"
    " from.": (
        "Ce qu'install.sh changerait : l'utilisateur, le domaine, et tout ce dont le service est"
        " fait."
    ),
    "Not in place yet: {files}. To change that: deploy/install.sh --service {name}": (
        "Pas encore en place : {files}. Pour y remédier : deploy/install.sh --service {name}"
    ),
    "The service that the site is on this machine; None for whoever cannot change it.": (
        "Le service qu'est le site sur cette machine ; None pour qui ne peut pas y toucher."
    ),
    "supervisord takes its group's name and its addresses when it starts, and nginx is told by"
    " deploy/install.sh.": (
        "supervisord prend le nom du groupe et les adresses à son démarrage, et nginx les apprend"
        " de deploy/install.sh."
    ),
    "The group or an address in {file} has changed, and a running supervisord keeps those that it"
    " has. Stop it ({stop}), run this again, and start it; on a server, deploy/install.sh starts it"
    " and tells nginx.": (
        "Le groupe ou une adresse a changé dans {file}, et un supervisord en marche garde les"
        " siens. Arrêtez-le ({stop}), relancez cette commande, puis démarrez-le ; sur un serveur,"
        " deploy/install.sh le démarre et avertit nginx."
    ),
    "It was interrupted.": "Interruption.",
    # deploy/server/releases.py
    "A release: the folder that it gets on the server, and its rehearsal there.": (
        "Une version : le dossier qu'elle reçoit sur le serveur, et sa répétition."
    ),
    "Connections that must all reach the new release, in whichever process": (
        "Connexions qui doivent toutes tomber sur la nouvelle version, dans quelque processus que"
        " ce soit"
    ),
    "One of Django's warnings, and where a release keeps those that it had": (
        "Un avertissement de Django, et où une version garde ceux qu'elle a eus"
    ),
    "Before what needs of Django its settings alone; manage.py shell loads every app, and takes "
    "three times as long.": (
        "Devant ce qui n'a besoin, de Django, que de ses réglages ; manage.py shell charge toutes "
        "les applications, et met trois fois plus de temps."
    ),
    "A name under which the site answers": "Un nom sous lequel le site répond",
    "One release: its folder, and what is done to it.": (
        "Une version : son dossier, et ce qu'on en fait."
    ),
    "What its commands get besides the site's environment": (
        "Ce que ses commandes reçoivent en plus de l'environnement du site"
    ),
    "What goes back follows these links.": "Un retour en arrière suit ces liens.",
    "Named after what it is made from: a release with the same takes the same.": (
        "Nommé d'après ce dont il est fait : à ingrédients égaux, deux versions le partagent."
    ),
    "A venv finds the folder deploy beside it.": "Un venv trouve le dossier deploy à côté de lui.",
    "supervisord.conf reads it; what it says on another machine does not count here.": (
        "supervisord.conf le lit ; ce qu'il dit sur une autre machine ne vaut pas ici."
    ),
    "Runs a command of the release's Python as the site's user.": (
        "Lance une commande du Python de la version, en tant qu'utilisateur du site."
    ),
    "What the code prints that asks Django's settings.": "Ce qu'affiche le code qui interroge les réglages de Django.",
    "Gives the release a var/ of its own, with all uploads.": (
        "Donne à la version un var/ à elle, avec tous les fichiers envoyés."
    ),
    "Returns what the release that serves cannot live with.": (
        "Renvoie ce que la version en service ne supporte pas."
    ),
    "The settings of Django and supervisord; gunicorn reads its own when it is asked for the home "
    "page. Returns those of Django's warnings that the release before did not have.": (
        "Les réglages de Django et de supervisord ; gunicorn lit les siens quand la page d'accueil "
        "lui est demandée. Rend les avertissements de Django que la version précédente n'avait pas."
    ),
    "Without rows, it is asked for none.": "Sans lignes, elle ne lui est pas demandée.",
    "A gunicorn on a socket that nobody else knows must show the home page.": (
        "Un gunicorn, sur une socket que nul autre ne connaît, doit montrer la page d'accueil."
    ),
    "/healthz answers {answer} instead of 200 and the name {release}.": (
        "/healthz répond {answer} au lieu de 200 et du nom {release}."
    ),
    "Moves those of the rehearsal: the site, which serves, never sees half of one.": (
        "Déplace ceux de la répétition : le site, qui sert, n'en voit jamais une moitié."
    ),
    "nginx follows a link only if its owner owns the target too; root may have made these.": (
        "nginx ne suit un lien que si le propriétaire de la cible est aussi le sien ; root a pu "
        "créer ceux-ci."
    ),
    "The site keeps what it writes to itself, and nginx sends these.": (
        "Le site garde pour lui ce qu'il écrit, et ceux-ci, nginx les envoie."
    ),
    "A name under which the site answers.": "Un nom auquel le site répond.",
    "Whether visitors get an answer from it, as far as this machine can tell.": (
        "Les visiteurs ont-ils une réponse, pour autant que cette machine le sache ?"
    ),
    "The site that visitors see must be this release.": (
        "Le site que voient les visiteurs doit être cette version."
    ),
    "The site may not write there: Python's bytecode must be there already. What only "
    "another Python understands may stay as it is.": (
        "Le site ne peut rien y écrire : le bytecode de Python doit y être déjà. Ce que seul un "
        "autre Python comprend peut rester tel quel."
    ),
    "The release that serves.": "La version qui est en service.",
    # deploy/server/restore.py
    "Puts a copy of the site's data back: the steps, in their order.": (
        "Remet en place une copie des données du site : les étapes, dans leur ordre."
    ),
    "Free space beyond what comes back": "Place libre en plus de ce qui revient",
    "In var/: what it has stopped": "Dans var/ : ce qu'elle a arrêté",
    "Puts a copy of the site's data back, on the server.": (
        "Remet en place une copie des données du site, sur le serveur."
    ),
    "a copy, by its name or its path; without it, the copies are shown": (
        "une copie, par son nom ou son chemin ; sans elle, les copies sont montrées"
    ),
    "COPY": "COPIE",
    "replace the data without asking": "remplacer les données sans demander",
    "Where there was no database, none was kept.": (
        "Là où il n'y avait pas de base, aucune n'a été gardée."
    ),
    "To put one back: {program} NAME": "Pour en remettre une : {program} NOM",
    "Until its programs stop, the site goes on with what it has. What fails is undone.": (
        "Jusqu'à l'arrêt de ses programmes, le site continue avec ce qu'il a. Ce qui échoue est"
        " défait."
    ),
    "Checking the copy": "Vérification de la copie",
    "Replace the data of {folder} by the copy {copy}? What is there now is kept in {replaced}."
    " [y/N] ": (
        "Remplacer les données de {folder} par la copie {copy} ? Ce qui s'y trouve sera gardé dans"
        " {replaced}. [o/N] "
    ),
    "Putting back the uploads that are missing": (
        "Remise en place des fichiers envoyés qui manquent"
    ),
    "Replacing the database: visitors wait": "Remplacement de la base : les visiteurs attendent",
    "What hinders the tidying up is not the reason.": "Ce qui gêne le rangement n'est pas la raison.",
    "Asking whether the site answers": "Le site répond-il ?",
    "The site has the data of {copy}. What it had before is in {replaced}.": (
        "Le site a les données de {copy}. Ce qu'il avait avant est dans {replaced}."
    ),
    "A folder that deploy/backup.sh has made, or a database alone.": (
        "Un dossier fait par deploy/backup.sh, ou une base seule."
    ),
    "{copy} is no copy: there is no {file}. {program} shows the copies.": (
        "{copy} n'est pas une copie : il n'y a pas de {file}. {program} montre les copies."
    ),
    "Where the site may write, it may have placed a link: there, nothing is read with root's"
    " rights.": (
        "Là où le site peut écrire, il a pu placer un lien : rien n'y est lu avec les droits de"
        " root."
    ),
    "Django never writes over an upload: one of the same name is the same.": (
        "Django ne remplace jamais un fichier envoyé : celui du même nom est le même."
    ),
    "Copies a file for the site's user.": "Copie un fichier pour l'utilisateur du site.",
    "supervisord holds the site's socket meanwhile.": (
        "supervisord tient pendant ce temps la socket du site."
    ),
    "{names} did not stop, and nothing has changed: {logs} tells why.": "{names} : pas d'arrêt, et rien n'a changé ; {logs} dit pourquoi.",
    "A stop that was interrupted may still be under way: restart waits for it.": (
        "Un arrêt interrompu peut être encore en cours : restart l'attend."
    ),
    "The programs that are not meant to be still: those too that a restore had stopped when it was killed.": "Les programmes qui ne sont pas censés être arrêtés : ceux aussi qu'une restauration avait arrêtés quand elle a été tuée.",
    # deploy/server/rpc.py
    "Speaks with supervisord: its commands, through its socket. supervisor's own code for "
    "that takes half as much memory again.": (
        "Parle à supervisord : ses commandes, par sa socket. Le code que supervisor a pour cela "
        "prendrait moitié plus de mémoire."
    ),
    "supervisord may take this long to answer.": "supervisord peut prendre ce temps pour répondre.",
    "xmlrpc.client by the socket of this path.": "xmlrpc.client, par la socket de ce chemin.",
    "The commands of the supervisord whose socket is in this folder.": (
        "Les commandes du supervisord dont la socket est dans ce dossier."
    ),
    # deploy/server/schema.py
    "What the migrations of a release change in the database that the release which serves "
    "cannot live with.": (
        "Ce que les migrations d'une version changent dans la base et que la version en service "
        "ne supporte pas."
    ),
    "Warning: {name} goes from the database, and {release}, which serves, still uses it: "
    "until it is replaced, and after a way back, it fails there. Remove it in a later "
    "release than the code that uses it.": (
        "Attention : {name} disparaît de la base, et {release}, qui sert, s'en sert encore : "
        "jusqu'à son remplacement, et après un retour, elle y échoue. Ne retirez cela que dans "
        "une version après le code qui s'en sert."
    ),
    "Warning: {name} must have a value, and {release}, which serves, may give it none: until "
    "it is replaced, and after a way back, it cannot save there. Give the field db_default, "
    "or null=True.": (
        "Attention : {name} exige une valeur, et {release}, qui sert, peut ne pas en donner : "
        "jusqu'à son remplacement, et après un retour, elle ne peut rien y enregistrer. Donnez "
        "au champ db_default, ou null=True."
    ),
    "For manage.py shell: the tables that the code knows, and their columns": (
        "Pour manage.py shell : les tables que connaît le code, et leurs colonnes"
    ),
    "Between the columns as Database.columns() gives them: in sentences, what the release "
    "that serves will fail at: it goes on until the new one serves, and comes back by "
    "--rollback.": (
        "Entre les colonnes telles que Database.columns() les donne, en phrases, ce sur quoi "
        "échouera la version en service : elle continue jusqu'à ce que la nouvelle serve, et "
        "revient par --rollback."
    ),
    "It cannot even be loaded: there is nothing that it could fail at.": (
        "Elle ne se charge même pas : elle n'a plus à quoi échouer."
    ),
    "The old code does not name a new column, and may leave one empty that could be.": (
        "L'ancien code ne nomme pas une colonne nouvelle, et peut laisser vide celle qui pouvait "
        "l'être."
    ),
    # deploy/server/secret_files.py
    "The files that hold secrets: each is written once, whole or not at all, and stays out of git.": (
        "Les fichiers qui contiennent des secrets : chacun est écrit une fois, en entier ou pas du"
        " tout, et reste hors de git."
    ),
    "64 letters and digits, 381 bits of chance: every format of files takes them as they are.": (
        "64 lettres et chiffres, soit 381 bits de hasard : tout format de fichier les prend tels"
        " quels."
    ),
    "The example, as a rule the one beside it, with a secret key of its own and what else is "
    "made for it; one that is there gets what has no value in it.": (
        "L'exemple, en principe celui d'à côté, avec une clé secrète à lui et ce qui est créé "
        "d'autre pour lui ; un fichier déjà là reçoit ce qui n'y a pas de valeur."
    ),
    "The lines of the example whose names .env lacks; one that is commented out there is"
    " decided.": (
        "Les lignes de l'exemple dont le nom manque dans .env ; en commentaire, il est tenu pour"
        " réglé."
    ),
    "Of a file that cannot be read, the settings speak.": (
        "D'un fichier illisible, ce sont les réglages qui parlent."
    ),
    "{env} lacks what {example} has. Add each line with your value, or with a # in front:": (
        "Il manque dans {env} ce qu'a {example}. Ajoutez chaque ligne avec votre valeur, ou un #"
        " devant :"
    ),
    "The password of supervisord's web interface.": (
        "Le mot de passe de l'interface web de supervisord."
    ),
    "For its owner's eyes alone, and where root writes it, for this group's.": (
        "Pour les yeux du seul propriétaire et, si root l'écrit, pour ceux de ce groupe."
    ),
    # deploy/server/service.py
    "The site as a service of the machine: the files that start it at boot, show it and copy its"
    " data.": (
        "Le site comme service de la machine : les fichiers qui le démarrent avec elle, le montrent"
        " et copient ses données."
    ),
    "Where certbot keeps the certificate of this name": "Où certbot garde le certificat de ce nom",
    "Those of this site that nginx writes": "Ceux de ce site que tient nginx",
    "What nginx calls the site where it only passes on what visitors ask for: hosts.py": "Le nom que nginx donne au site là où il ne fait que transmettre ce que demandent les visiteurs : hosts.py",
    "The name of the first site's service: for this one, supervisorctl needs no options.": (
        "Le nom du service du premier site : pour lui, supervisorctl se passe d'options."
    ),
    "That of Debian's package supervisor, which keeps its name": (
        "Celui du paquet supervisor de Debian, qui garde son nom"
    ),
    "A file of deploy/ with its @words@ filled in, for the service of this name.": (
        "Un fichier de deploy/ dont les @mots@ sont remplacés, pour le service de ce nom."
    ),
    "As the front says; nobody else asks.": "Comme le dit le frontal ; personne d'autre ne demande.",
    "As nginx takes it: a longer name would not fit into nginx's table of names, whose size all"
    " sites share; a regular expression does.": (
        "Tel que nginx le prend : un nom plus long n'entrerait pas dans sa table de noms, dont tous"
        " les sites partagent la taille ; une expression régulière s'en passe."
    ),
    "Each file of the service names the folder of the site.": (
        "Chaque fichier du service nomme le dossier du site."
    ),
    "The name of the service that this site is already; None where it is none.": (
        "Le nom du service que ce site est déjà ; None s'il n'en est aucun."
    ),
    "The folders of the other sites that run as this user, by the lines that copy their databases.": (
        "Les dossiers des autres sites de cet utilisateur, d'après les lignes qui copient leurs"
        " bases."
    ),
    "A service: its name, and its files and links on the machine.": (
        "Un service : son nom, et ses fichiers et liens sur la machine."
    ),
    "{name} is no name for a service: use small letters, digits, - and _ only.": (
        "{name} n'est pas un nom de service : rien que des minuscules, des chiffres, - et _."
    ),
    "The init system that runs the machine, not one that is merely installed": (
        "Le système d'init qui mène la machine, pas un autre simplement installé"
    ),
    "What older versions made, or this one before that package came": (
        "Ce qu'ont fait des versions plus anciennes, ou celle-ci avant l'arrivée de ce paquet"
    ),
    "The name may mean no other service, and the site may have no other name.": (
        "Le nom ne doit désigner aucun autre service, et le site ne doit pas en avoir d'autre."
    ),
    "{path} belongs to another service: give this site a name of its own, with --service NAME.": (
        "{path} appartient à un autre service : donnez à ce site un nom à lui, par --service NOM."
    ),
    "{folder} is the service {installed}: --service {installed}": (
        "{folder} est le service {installed} : --service {installed}"
    ),
    "What its files hold on this machine, by their paths.": (
        "Ce que contiennent ses fichiers sur cette machine, selon leur chemin."
    ),
    "What systemd knows of it.": "Ce que systemd en sait.",
    "systemd keeps those of a supervisord that ends in an error, for the next one.": (
        "systemd garde celles d'un supervisord qui finit sur une erreur, pour le suivant."
    ),
    "Where it is told why it does not start.": "Là où il est dit pourquoi il ne démarre pas.",
    "Its files that install.sh would write anew.": (
        "Ceux de ses fichiers qu'install.sh écrirait de nouveau."
    ),
    "Refuses files that wait and that nginx would refuse: it reads them in a copy of its folder,"
    " which nobody else sees.": (
        "Refuse les fichiers en attente que nginx refuserait : il les lit dans une copie de son"
        " dossier, que nul autre ne voit."
    ),
    "What is wrong already, this release has not done.": (
        "Ce qui n'allait déjà pas n'est pas le fait de cette version."
    ),
    "nginx refuses what is in deploy/nginx: {reason}": (
        "nginx refuse ce que contient deploy/nginx : {reason}"
    ),
    "What starts the site at each boot, and copies its database each night.": (
        "Ce qui démarre le site avec la machine, et copie sa base de données chaque nuit."
    ),
    "A run before this one may have ended between the two.": (
        "Une exécution précédente a pu finir entre les deux."
    ),
    "One that runs has been started without it.": "Celui qui tourne a été lancé sans elle.",
    "Returns whether nginx must be told.": "Dit si nginx doit l'apprendre.",
    "Stops the site first.": "Arrête d'abord le site.",
    # deploy/server/site_folder.py
    "The folder of the site on the server: its releases, and the links that say which one serves.": (
        "Le dossier du site sur le serveur : ses versions, et les liens qui disent laquelle sert."
    ),
    "releases/ holds one folder per release, venvs/ their packages. The link current names the"
    " release that serves; in each release, .previous names the one that served before it. var/ is"
    " the site's own: database, logs, sockets, static files.": (
        "releases/ contient un dossier par version, venvs/ leurs paquets. Le lien current nomme la"
        " version qui sert ; dans chacune, .previous nomme celle qui servait avant elle. var/ est"
        " au site lui-même : base de données, journaux, sockets, fichiers statiques."
    ),
    "Releases that stay, to look at or to copy from": (
        "Versions que l'on garde, pour les regarder ou y reprendre quelque chose"
    ),
    "The name of a release is the time when it was made (UTC).": (
        "Le nom d'une version est l'heure à laquelle elle a été faite (UTC)."
    ),
    "In each release: the template and its version": "Dans chaque publication : le modèle et sa version",
    "Migrations are not undone: the database stays as it is.": (
        "Les migrations ne sont pas défaites : la base reste comme elle est."
    ),
    "The paths in it, and what is done to it as a whole.": (
        "Les chemins qui s'y trouvent, et ce qu'on fait de l'ensemble."
    ),
    "While a release is under way, its name, if it is new, and the name of the one that served"
    " before.": (
        "Pendant une mise en service : le nom de la version, si elle est nouvelle, et de celle qui"
        " servait avant."
    ),
    "Makes what is missing of it, reads who runs the site, and locks it.": (
        "Crée ce qui manque, lit qui fait tourner le site, et le verrouille."
    ),
    "{folder} is missing: deploy/install.sh makes it.": (
        "{folder} manque : deploy/install.sh le crée."
    ),
    "{folder} cannot be written ({reason}): run this as its owner, or as root.": (
        "Impossible d'écrire dans {folder} ({reason}) : lancez ceci en tant que son propriétaire,"
        " ou en root."
    ),
    "The code is for those who release and for the site: what keeps the others out is the mode of"
    " this one folder.": (
        "Le code est à qui met en service et au site : ce sont les droits de ce seul dossier qui"
        " tiennent les autres dehors."
    ),
    "Another release or a restore is under way in {folder}: wait until it has ended.": (
        "Une autre mise en service, ou une restauration, est en cours dans {folder} : attendez"
        " qu'elle ait fini."
    ),
    "The releases that are kept, the oldest first.": (
        "Les versions conservées, la plus ancienne d'abord."
    ),
    "There is no release in {folder}.": "Il n'y a pas de version dans {folder}.",
    "The one that served before it, or else the next older one; empty where there is none.": (
        "Celle qui servait avant elle ou, à défaut, la plus récente avant elle ; vide s'il n'y en a"
        " pas."
    ),
    "From here to finish(), clean_up() goes back, and removes the new release.": (
        "D'ici à finish(), clean_up() revient en arrière et enlève la nouvelle version."
    ),
    "Undoes a release that failed or was interrupted, and removes what nobody needs.": (
        "Défait une mise en service manquée ou interrompue, et enlève ce dont personne n'a besoin."
    ),
    "An older template's way to find the release before": (
        "Ce par quoi un modèle plus ancien trouvait la version d'avant"
    ),
    "Going back to {release}": "Retour à {release}",
    "Keeps the newest releases, and what serves or is in use.": (
        "Garde les versions les plus récentes, et ce qui sert ou est utilisé."
    ),
    "Whether supervisord is at the other end of its socket.": (
        "supervisord est-il à l'autre bout de sa socket ?"
    ),
    "Each program of the site takes the release that is current when it starts.": (
        "Chaque programme du site prend la version que nomme current quand il démarre."
    ),
    "All that run its code; a release made by an older template knows those of gunicorn alone.": (
        "Tous ceux qui font tourner son code ; une version faite par un modèle plus ancien ne"
        " connaît que ceux de gunicorn."
    ),
    "What supervisorctl says, also where its exit code tells of a failure.": (
        "Ce que dit supervisorctl, même si son code de retour annonce un échec."
    ),
    "They stand outside the releases, which share them.": (
        "Ils sont hors des versions, qui les partagent."
    ),
    "The site that this code is a release of; else the one of deploy/server/facts.py.": (
        "Le site dont ce code est une version ; sinon celui de deploy/server/facts.py."
    ),
    "There is no site in {folder}: deploy/install.sh makes it.": (
        "Il n'y a pas de site dans {folder} : deploy/install.sh l'installe."
    ),
    "Makes or changes a symbolic link; nobody sees a moment without it.": (
        "Crée ou change un lien symbolique, sans un instant où il manquerait."
    ),
    "The release that a link names; empty where there is no link.": (
        "La version que nomme un lien ; vide s'il n'y en a pas."
    ),
    "The files of a folder by second names: they take no space, and whoever deletes or renames one"
    " leaves the other. What can have none, on another disk or of another's, is made otherwise.": (
        "Les fichiers d'un dossier sous un second nom : il ne prend pas de place, et qui supprime"
        " ou renomme l'un laisse l'autre. Ce qui ne peut en avoir, sur un autre disque ou à"
        " quelqu'un d'autre, est fait autrement."
    ),
    "A visitor has deleted it meanwhile.": "Un visiteur l'a supprimé entre-temps.",
    "Where each process of the machine is, and what it was started with.": (
        "Où se trouve chaque processus de la machine, et comment il a été lancé."
    ),
    "Which version of the template made this code; nothing where its file is missing.": "Quelle version du modèle a fait ce code ; rien si son fichier manque.",
    "Made by {template}": "Fait par {template}",
    # deploy/server/site_user.py
    "The user who runs the site: root runs none of it, and writes nothing where the site may write.": (
        "L'utilisateur qui fait tourner le site : root n'en exécute rien, et n'écrit rien là où le"
        " site peut écrire."
    ),
    "The owner of var/.": "Le propriétaire de var/.",
    "{folder} belongs to the number {number}, which is no user here: give it to one (chown -R).": "{folder} appartient au numéro {number}, qui n'est celui d'aucun utilisateur ici : donnez-le à l'un d'eux (chown -R).",
    "{folder} belongs to {user}: only root and {user} may do this. Use sudo.": (
        "{folder} appartient à {user} : seuls root et {user} peuvent le faire. Utilisez sudo."
    ),
    "{folder} belongs to root, and a site must not run as root: give it to another user (chown -R).": (
        "{folder} est à root, et un site ne doit pas tourner en root : donnez-le à un autre"
        " utilisateur (chown -R)."
    ),
    "Within it, files are touched with this user's rights.": (
        "Dans ce bloc, on touche aux fichiers avec les droits de cet utilisateur."
    ),
    "Nothing of the caller's reaches the site.": "Rien de celui de l'appelant n'atteint le site.",
    "For started() and run(). Nor does the caller's terminal.": (
        "Pour started() et run(). Le terminal de l'appelant non plus."
    ),
    "For subprocess: another user and all of its groups.": (
        "Pour subprocess : un autre utilisateur et tous ses groupes."
    ),
    # deploy/server/status.py
    "Shows how the site on this server is: its releases and its programs. deploy/servers.sh status runs it there.": "Montre comment va le site de ce serveur : ses versions et ses programmes. deploy/servers.sh status le lance là-bas.",
    # deploy/server/supervisord_conf.py
    "What deploy/supervisord.conf says of the site's addresses, by supervisor's own rules of"
    " reading.": (
        "Ce que deploy/supervisord.conf dit des adresses du site, lu selon les règles mêmes de"
        " supervisor."
    ),
    "supervisor itself cannot be asked: it stands in the venv, which is not there yet. The rules:"
    " supervisor/options.py, UnhosedConfigParser and read_config; supervisor/datatypes.py,"
    " inet_address.": (
        "On ne peut interroger supervisor lui-même : il est dans le venv, qui n'est pas encore là."
        " Les règles : supervisor/options.py, UnhosedConfigParser et read_config ;"
        " supervisor/datatypes.py, inet_address."
    ),
    "The config of the code in this folder; with local, as it is on this machine alone. site "
    "and web_interface are addresses as socket.connect() takes them: (host, port), or the "
    "path of a UNIX socket; None is none.": (
        "La configuration du code de ce dossier ; avec local, telle qu'elle est sur cette seule "
        "machine. site et web_interface sont des adresses comme les prend socket.connect() : "
        "(hôte, port), ou le chemin d'une socket UNIX ; None s'il n'y en a pas."
    ),
    "Both as they are written, wherever the code lies.": (
        "Les deux telles qu'elles sont écrites, où que soit le code."
    ),
    "The lines of a config that gives it these ports, at the same addresses.": (
        "Les lignes d'une configuration qui lui donne ces ports, aux mêmes adresses."
    ),
    "{file} cannot be read: {reason}": "{file} est illisible : {reason}",
    "With %(here)s and the like filled in.": "Avec %(here)s et ses pareils remplacés.",
    "{file} has no [{section}]. deploy/server/facts.py and deploy/supervisord.conf must name the"
    " same group.": (
        "{file} n'a pas de [{section}]. deploy/server/facts.py et deploy/supervisord.conf doivent"
        " nommer le même groupe."
    ),
    "{file} cannot be used: {key} = {value} in [{section}]. Write an address and a port, as"
    " 127.0.0.1:8000.": (
        "{file} est inutilisable : {key} = {value} dans [{section}]. Écrivez une adresse et un"
        " port, comme 127.0.0.1:8000."
    ),
    "As socket.bind() takes it; 0.0.0.0 is every address of this machine.": (
        "Telle que la prend socket.bind() ; 0.0.0.0 désigne toutes les adresses de la machine."
    ),
    "As people type it on this machine: 127.0.0.1:8000.": (
        "Telle qu'on la tape sur cette machine : 127.0.0.1:8000."
    ),
    # deploy/server/uninstall.py
    "Removes what deploy/install.sh has made: the steps, in their order.": (
        "Retire ce que deploy/install.sh a fait : les étapes, dans l'ordre."
    ),
    "What deploy/release.sh makes in the folder of the site, beside releases and venvs": (
        "Ce que deploy/release.sh fait dans le dossier du site, en plus des versions et des venvs"
    ),
    "And what deploy/servers.sh puts there, where several machines share the site": "Et ce qu'y met deploy/servers.sh, quand plusieurs machines se partagent le site",
    "What is not the site's own cannot stop it half-way: nginx is told at the end.": (
        "Rien d'étranger au site ne peut l'arrêter à mi-chemin : nginx l'apprend à la fin."
    ),
    "Nothing is installed in {folder}.": "Rien n'est installé dans {folder}.",
    "{folder} is mounted, and others may have it, too: unmount it first, and what it holds stays.": "{folder} est monté, et d'autres l'ont peut-être aussi : démontez-le d'abord, et ce qu'il contient restera.",
    "The data stays in {folder}.": "Les données restent dans {folder}.",
    "Remove the data of {folder} too (database and its copies, logs, secrets)? There is no way"
    " back. [y/N] ": (
        "Retirer aussi les données de {folder} (base et copies, journaux, secrets) ? C'est sans"
        " retour. [o/N] "
    ),
    "Only a user that this command has made has its home here.": (
        "Seul un utilisateur que cette commande a créé a ici son dossier personnel."
    ),
    "{folder} stays: {reason}": "{folder} reste : {reason}",
    "{reason}. The site is removed; nginx forgets it once that is mended: service nginx reload": (
        "{reason}. Le site est retiré ; nginx l'oubliera une fois cela réparé : service nginx"
        " reload"
    ),
    # deploy/server/venvs.py
    "Makes a venv with the packages of a requirements.txt, or of several, by uv or by pip, "
    "whichever the machine has.": (
        "Crée un venv avec les paquets d'un requirements.txt, ou de plusieurs, par uv ou par "
        "pip, selon ce que la machine possède."
    ),
    "Not the Python of an active venv, which may be the one that is made anew": (
        "Pas le Python d'un venv actif, qui est peut-être celui que l'on refait"
    ),
    "A package in requirements.txt; not one that only some machines need": (
        "Un paquet de requirements.txt, sauf ceux dont seules certaines machines ont besoin"
    ),
    "What leads packages elsewhere, in a uv.toml": (
        "Ce qui mène les paquets ailleurs, dans un uv.toml"
    ),
    "A venv in this folder. Its stamp says what it was made from, once it is whole.": (
        "Un venv dans ce dossier. Son tampon dit de quoi il fut fait, une fois entier."
    ),
    "What it is made from: the folder, its Python, the fingerprint of the requirements.": (
        "De quoi il est fait : le dossier, son Python, l'empreinte des dépendances."
    ),
    "The list of files of each package in the requirements; None where it is not installed.": (
        "La liste des fichiers de chaque paquet des dépendances ; None s'il n'est pas installé."
    ),
    "Whether no package has lost a file; one that has gone as a whole can be installed again.": (
        "Dit si aucun paquet n'a perdu de fichier ; celui qui a disparu en entier se réinstalle."
    ),
    "Whether nothing but its requirements has changed.": (
        "Dit si rien d'autre que ses dépendances n'a changé."
    ),
    "What makes it, or brings it up to date: texts and commands, to be run one by one.": (
        "Ce qui le crée ou le met à jour : des textes et des commandes, à lancer une à une."
    ),
    "uv keeps what it downloads in the home folder; www-data, say, may not write there.": (
        "uv garde ses téléchargements dans le dossier personnel, où www-data, par exemple, ne peut"
        " écrire."
    ),
    "Making the venv (uv)": "Création du venv (uv)",
    "Installing the requirements (uv)": "Installation des dépendances (uv)",
    "The caller's uv.toml may say where the index is; what would lead the packages elsewhere is"
    " left out.": (
        "Le uv.toml de l'appelant peut dire où est l'index ; ce qui mènerait les paquets ailleurs"
        " est omis."
    ),
    "The requirements are complete: pip need not look for more (--no-deps). compileall is faster"
    " than pip at compiling.": (
        "Les dépendances sont complètes : pip n'a pas à en chercher d'autres (--no-deps)."
        " compileall compile plus vite que pip."
    ),
    "pip fills other venvs than its own by this file, and installs a pip there too. Its "
    "option --python does so in a second process, which would go on when the first is killed.": (
        "pip remplit d'autres venvs que le sien par ce fichier, et y installe aussi un pip. Son "
        "option --python le fait dans un second processus, qui continuerait quand le premier est "
        "tué."
    ),
    "Making the venv": "Création du venv",
    "Installing the requirements": "Installation des dépendances",
    "Making the venv (virtualenv)": "Création du venv (virtualenv)",
    "{python} can make no venv with pip. On Debian or Ubuntu: sudo apt install python3-venv": (
        "{python} ne peut pas créer de venv avec pip. Sur Debian ou Ubuntu : sudo apt install"
        " python3-venv"
    ),
    "supervisord finds its config next to its venv, and deploy/supervisor_plugin on Python's path.": (
        "supervisord trouve sa configuration à côté de son venv, et deploy/supervisor_plugin sur le"
        " chemin de Python."
    ),
    "By -I in its first lines, Python heeds no variable of the shell that starts it (PYTHONHOME,"
    " PYTHONPATH).": (
        "Avec -I dans ses premières lignes, Python n'écoute aucune variable du shell qui le lance"
        " (PYTHONHOME, PYTHONPATH)."
    ),
    "The packages went elsewhere than to {venv}: remove target and prefix from the settings of pip"
    " or uv.": (
        "Les paquets sont allés ailleurs que dans {venv} : retirez target et prefix des réglages de"
        " pip ou d'uv."
    ),
    "One package has several spellings.": "Un paquet s'écrit de plusieurs façons.",
    "But for those that Python compiles, which come and go.": (
        "Sauf ceux que Python compile, qui vont et viennent."
    ),
    "The words of a command of pip, read when it starts. Of pip's config files, only what passes"
    " from a shell counts: not target, prefix or user.": (
        "Les mots d'une commande de pip, lus quand elle part. De ses fichiers de configuration, seul"
        " compte ce qui passe d'un shell : ni target, ni prefix, ni user."
    ),
    "[install] counts more than [global], and a variable more than both.": (
        "[install] l'emporte sur [global], et une variable sur les deux."
    ),
    "That of PYTHON's own pip; None where it has none, or one before 22.3.": (
        "Celui du pip de PYTHON même ; None s'il n'en a pas, ou un d'avant 22.3."
    ),
    "Whether the command runs without an error.": "Dit si la commande s'exécute sans erreur.",
    # deploy/server/{% if cookiecutter.database == 'postgresql' %}database.py{% endif %}
    "What the commands know of the site's database: one of a PostgreSQL server.": (
        "Ce que les commandes savent de la base de données du site : une base d'un serveur "
        "PostgreSQL."
    ),
    "A copy of the data holds it under this name.": (
        "Une copie des données la contient sous ce nom."
    ),
    "Of each column: must a row have a value there, and does the database have one of its own?": (
        "De chaque colonne : une ligne doit-elle y avoir une valeur, et la base en a-t-elle une "
        "à elle ?"
    ),
    "That of the site; a release tells which one it is.": (
        "Celle du site ; une version dit laquelle c'est."
    ),
    "Whether a rehearsal has no rows": "Si une répétition n'a aucune ligne",
    "What it writes holds secrets: it is for this user alone. The folder of the code may be closed to it, and PostgreSQL's programs would say so.": "Ce qu'il écrit contient des secrets : c'est pour cet utilisateur seul. Le dossier du code lui est peut-être fermé, et les programmes de PostgreSQL s'en plaindraient.",
    "Django's own settings: the vendor as Django names it, DATABASE_URL, and libpq's variables.": (
        "Les réglages de Django lui-même : le type de base comme Django le nomme, DATABASE_URL, "
        "et les variables de libpq."
    ),
    "Another one would be neither rehearsed nor copied.": (
        "Une autre ne serait ni répétée ni copiée."
    ),
    "This site was generated for PostgreSQL, and its settings name another database "
    "({vendor}): releases and copies would miss it. Take that setting back.": (
        "Ce site a été généré pour PostgreSQL, et ses réglages nomment une autre base de données "
        "({vendor}) : les mises en service et les copies passeraient à côté. Revenez sur ce "
        "réglage."
    ),
    "Nothing for a release that was generated for another database.": (
        "Rien pour une version qui a été générée pour une autre base."
    ),
    "The release uses a copy, until the end of the block.": (
        "La version se sert d'une copie, jusqu'à la fin du bloc."
    ),
    "Django must know which migrations the database has.": (
        "Django doit savoir quelles migrations la base a reçues."
    ),
    "Settings that do not heed it would have the rehearsal migrate what visitors use.": (
        "Des réglages qui n'en tiennent pas compte feraient migrer par la répétition la base des "
        "visiteurs."
    ),
    "The settings do not take the database from DATABASE_URL: there is no rehearsal without it.": (
        "Les réglages ne prennent pas la base de données dans DATABASE_URL : sans cela, pas de "
        "répétition."
    ),
    "For the copy and the file that it comes from, where the server is this machine's.": (
        "Pour la copie et le fichier dont elle vient, si le serveur est celui de cette machine."
    ),
    "The rehearsal copies the database, and the disk of {folder} has {free} MB free of the "
    "{needed} that it needs: free some, or rehearse without the data (--rehearse-schema).": (
        "La répétition copie la base de données, et le disque de {folder} a {free} Mo libres sur "
        "les {needed} qu'il faut : libérez-en, ou répétez sans les données (--rehearse-schema)."
    ),
    "A database that is dropped in the end, even where that is kill -9: by a process that "
    "waits until it hears no more of this one. It holds the lock of the release meanwhile.": (
        "Une base supprimée à la fin, même si la fin est un kill -9 : par un processus qui "
        "attend de ne plus rien entendre de celui-ci. Entre-temps, il tient le verrou de la mise "
        "en service."
    ),
    "What a machine that lost its power has left": "Ce qu'une machine privée de courant a laissé",
    "Of the rehearsal's: {(table, column): (must have a value, has a default)}": (
        "De la base de la répétition : {(table, colonne) : (doit avoir une valeur, a une valeur "
        "par défaut)}"
    ),
    "As it stood at one moment, while the site goes on.": (
        "Telle qu'elle était à un instant donné, pendant que le site continue."
    ),
    "Reads all of it.": "La lit en entier.",
    "it holds no table django_migrations": "elle ne contient pas de table django_migrations",
    "A copy, an object of restore.py, that takes the database's place.": (
        "Une copie, un objet de restore.py, qui prend la place de la base."
    ),
    "On the disk of the database, which the copies need not share": "Sur le disque de la base, que les copies ne partagent pas forcément",
    "Into a database beside the site's.": "Dans une base à côté de celle du site.",
    "The database {name} holds the data that an interrupted restore has replaced: save what "
    "you need of it, then drop it (dropdb {name}).": (
        "La base {name} contient les données qu'une restauration interrompue a remplacées : "
        "sauvez-en ce qu'il vous faut, puis supprimez-la (dropdb {name})."
    ),
    "{copy} cannot be put back ({reason}): take another.": (
        "{copy} ne peut pas être remise en place ({reason}) : prenez-en une autre."
    ),
    "What was there goes to the folder replaced, after the site goes on. The code that "
    "serves may be younger than the copy: it migrates it.": (
        "Ce qui était là va dans le dossier replaced, une fois le site reparti. Le code en "
        "service peut être plus récent que la copie : il la migre."
    ),
    "PostgreSQL was gone before all was done or undone ({reason}). Once it is back, look for {old} (psql -l): where it is, it holds what the site had, and {live} holds the copy.": "PostgreSQL n'était plus là avant que tout soit fait ou défait ({reason}). Quand il sera de retour, cherchez {old} (psql -l) : si cette base existe, elle contient ce que le site avait, et {live} contient la copie.",
    "By renames, which no signal interrupts: a database with another's -wal would be damaged.": "Par des renommages, qu'aucun signal n'interrompt : une base avec le -wal d'une autre serait endommagée.",
    "However far the exchange has come.": "Aussi loin que l'échange soit allé.",
    "Whether what was there is beside it.": "Si ce qui était là est à côté.",
    "All of them, or none; nobody is connected meanwhile.": (
        "Toutes, ou aucune ; personne n'est connecté pendant ce temps."
    ),
    "psql sends them as one transaction.": "psql les envoie en une seule transaction.",
    "Keeping the data that was there": "Mise de côté des données qui étaient là",
    "What is in it is the only one.": "Ce qui s'y trouve est le seul exemplaire.",
    "The URL of another database of the same server.": "L'URL d'une autre base du même serveur.",
    # deploy/server/{% if cookiecutter.database == 'postgresql' %}postgresql.py{% endif %}
    "PostgreSQL's own programs, and what to do about what they say.": (
        "Les programmes de PostgreSQL lui-même, et que faire de ce qu'ils disent."
    ),
    "Where Debian's server has its data": "Où le serveur de Debian a ses données",
    "Each server has it: for what is done beside the site's own": (
        "Chaque serveur l'a : pour ce qui se fait à côté de celle du site"
    ),
    "Asks Django: the kind of the site's database, the URL in .env, and what libpq must know to "
    "reach it, as its variables (PostgreSQL's manual, 34.15)": (
        "Demande à Django le type de la base du site, l'URL de .env, et ce que libpq doit savoir "
        "pour l'atteindre, sous forme de ses variables (manuel de PostgreSQL, 34.15)"
    ),
    "What PostgreSQL's programs say, and the sentence that names the remedy; the first that "
    "fits counts.": (
        "Ce que disent les programmes de PostgreSQL, et la phrase qui nomme le remède ; la "
        "première qui convient compte."
    ),
    "There is no database {name}: createdb {name} makes it, or name another in DATABASE_URL "
    "in .env.": (
        "Il n'y a pas de base {name} : createdb {name} la crée, ou nommez-en une autre dans "
        "DATABASE_URL, dans .env."
    ),
    "PostgreSQL knows no role {name}: sudo -u postgres createuser --createdb {name} (with "
    "Homebrew: createuser --createdb {name}).": (
        "PostgreSQL ne connaît pas de rôle {name} : sudo -u postgres createuser --createdb "
        "{name} (avec Homebrew : createuser --createdb {name})."
    ),
    "PostgreSQL lets {name} in under no other name: leave the user out of DATABASE_URL in .env.": (
        "PostgreSQL ne laisse entrer personne sous le nom d'un autre ({name}) : retirez "
        "l'utilisateur de DATABASE_URL, dans .env."
    ),
    "The role {user} may not make databases, and each release makes one for its rehearsal: "
    "sudo -u postgres psql -c 'ALTER ROLE \"{user}\" CREATEDB'": (
        "Le rôle {user} n'a pas le droit de créer des bases, et chaque mise en service en crée "
        "une pour sa répétition : sudo -u postgres psql -c 'ALTER ROLE \"{user}\" CREATEDB'"
    ),
    "a PostgreSQL that is newer than the one here has made it": (
        "un PostgreSQL plus récent que celui d'ici l'a produite"
    ),
    "The PostgreSQL of DATABASE_URL is newer ({name}) than the programs here: install its "
    "version of postgresql-client.": (
        "Le PostgreSQL de DATABASE_URL est plus récent ({name}) que les programmes d'ici : "
        "installez la version de postgresql-client qui lui correspond."
    ),
    "PostgreSQL does not answer at {name}: install it (sudo apt install postgresql; with "
    "Homebrew: brew install postgresql@17), or start it (sudo service postgresql start; brew "
    "services start postgresql@17).": (
        "PostgreSQL ne répond pas en {name} : installez-le (sudo apt install postgresql ; avec "
        "Homebrew : brew install postgresql@17), ou démarrez-le (sudo service postgresql start ; "
        "brew services start postgresql@17)."
    ),
    "PostgreSQL does not answer ({name}): DATABASE_URL in .env says where it is asked for.": (
        "PostgreSQL ne répond pas ({name}) : DATABASE_URL, dans .env, dit où le site le cherche."
    ),
    "{program} is missing, a program of PostgreSQL's: sudo apt install postgresql (with "
    "Homebrew: brew install postgresql@17).": (
        "Il manque {program}, un programme de PostgreSQL : sudo apt install postgresql (avec "
        "Homebrew : brew install postgresql@17)."
    ),
    "A server as somebody reaches it: options are those of run(), with libpq's variables in env.": (
        "Un serveur tel qu'on l'atteint : options sont celles de run(), avec les variables de "
        "libpq dans env."
    ),
    "By the PATH of the caller: the site's own knows what the system has, and no Homebrew.": (
        "Par le PATH de l'appelant : celui du site connaît ce qu'a le système, mais pas Homebrew."
    ),
    "That of a database made for this folder, on the server that PGHOST and PGPORT name, as "
    "a rule this machine's: of DATABASE, DATABASE_2 and so on the first that is free, or "
    "whose comment names the folder.": (
        "Celle d'une base créée pour ce dossier, sur le serveur que désignent PGHOST et PGPORT, "
        "en principe celui de cette machine : de DATABASE, DATABASE_2 et ainsi de suite, la "
        "première qui est libre, ou dont le commentaire nomme le dossier."
    ),
    "As SQL writes a name.": "Comme SQL écrit un nom.",
    "As SQL writes a text.": "Comme SQL écrit un texte.",
    # deploy/server/{% if cookiecutter.database == 'postgresql' %}roles.py{% endif %}
    "What deploy/install.sh does with this machine's PostgreSQL, as its administrator, the "
    "user postgres: the role of the site's user, and what it owns.": (
        "Ce que deploy/install.sh fait du PostgreSQL de cette machine, comme son administrateur, "
        "l'utilisateur postgres : le rôle de l'utilisateur du site, et ce qui est à lui."
    ),
    "A database of this machine's server, by its UNIX socket: no host is named.": (
        "Une base du serveur de cette machine, par sa socket UNIX : aucun hôte n'est nommé."
    ),
    "Beside the visitors': those of commands, and those that are for PostgreSQL's administrator": (
        "En plus de celles des visiteurs : celles des commandes, et celles qui sont pour "
        "l'administrateur de PostgreSQL"
    ),
    "Databases but for those that each server has": "Les bases, sans celles que chaque serveur a",
    "The name of the site's database on this machine: empty as long as it has none, None "
    "where it is another's.": (
        "Le nom de la base du site sur cette machine : vide tant qu'il n'en a pas, None si elle "
        "est sur une autre."
    ),
    "Of a server elsewhere, the first release asks as the site's user.": (
        "D'un serveur ailleurs, la première mise en service s'enquiert elle-même, comme "
        "l'utilisateur du site."
    ),
    "It may make databases: each release makes one for its rehearsal.": (
        "Il a le droit de créer des bases : chaque mise en service en crée une pour sa répétition."
    ),
    "The tables and the database of the user who had them before; other databases of this "
    "user stay so.": (
        "Les tables et la base de l'utilisateur qui les avait avant ; ses autres bases restent à "
        "lui."
    ),
    "Those that the user has beside the one of this name.": (
        "Celles que l'utilisateur a en plus de celle de ce nom."
    ),
    "The database, and the role where nothing else is its own.": (
        "La base, et le rôle si rien d'autre n'est à lui."
    ),
    "The database on the other host stays: DATABASE_URL in {env} names it.": (
        "La base de l'autre hôte reste : DATABASE_URL, dans {env}, la nomme."
    ),
    "The role {user} stays: {reason}": "Le rôle {user} reste : {reason}",
    "Each thread that answers visitors has one, and during a release those that end have "
    "theirs still; so for each site with a database here.": (
        "Chaque fil qui répond aux visiteurs en a une, et pendant une mise en service ceux qui "
        "finissent ont encore la leur ; de même pour chaque site qui a une base ici."
    ),
    "PostgreSQL takes {limit} connections, and its sites, or the servers that share one ({sites}), may need {needed} during a release. On its machine: sudo -u postgres psql -c 'ALTER SYSTEM SET max_connections = {needed}', then sudo service postgresql restart.": "PostgreSQL accepte {limit} connexions, et ses sites, ou les serveurs qui s'en partagent un ({sites}), peuvent en demander {needed} pendant une mise en service. Sur sa machine : sudo -u postgres psql -c 'ALTER SYSTEM SET max_connections = {needed}', puis sudo service postgresql restart.",
    # deploy/server/{% if cookiecutter.database == 'postgresql' %}shared.py{% endif %}
    "What this machine has to know where several share the site: deploy/servers.sh writes it into servers.json, from the inventory and the secrets.": "Ce que cette machine doit savoir quand plusieurs se partagent le site : deploy/servers.sh l'écrit dans servers.json, d'après l'inventaire et les secrets.",
    "own: this machine's private address; front, database, tasks, web: those of each group; env: the lines that .env has on all of them; up and commit: for the front, whom it asks, and what serves there": "own : l'adresse privée de cette machine ; front, database, tasks, web : celles de chaque groupe ; env : les lignes que .env a sur toutes ; up et commit : pour le frontal, à qui il demande, et ce qui y sert",
    "Where nginx of a machine in [web] waits for the one in [front]": "Où le nginx d'une machine de [web] attend celui de [front]",
    "Who may do what in Redis; its own users file format: redis.io, ACL": "Qui peut faire quoi dans Redis ; le format du fichier est le sien : redis.io, ACL",
    "What runs on the machine in [tasks] alone": "Ce qui ne tourne que sur la machine de [tasks]",
    "Empty where the site has this machine alone.": "Vide si le site n'a que cette machine.",
    "The private address; empty where the site has this machine alone.": "L'adresse privée ; vide si le site n'a que cette machine.",
    "What deploy/nginx/ needs of it, beside what each site has.": "Ce qu'il en faut à deploy/nginx/, outre ce qu'a chaque site.",
    "One machine copies the data of all each night.": "Une machine copie chaque nuit les données de toutes.",
    "The addresses of those that run the site, each once.": "Les adresses de celles qui font tourner le site, chacune une fois.",
    "Name -> value.": "Nom -> valeur.",
    "The text of a .env with these lines instead of its own.": "Le texte d'un .env avec ces lignes à la place des siennes.",
    "The lines of Redis's file of users: the site alone, by its password's SHA-256. Empty where Redis is another machine's.": "Les lignes du fichier d'utilisateurs de Redis : le site seul, par le SHA-256 de son mot de passe. Vide si Redis est sur une autre machine.",
    "What supervisord.conf says otherwise on this machine.": "Ce que supervisord.conf dit autrement sur cette machine.",
    # deploy/server/{% if cookiecutter.database == 'sqlite' %}database.py{% endif %}
    "What the commands know of the site's database: a file of SQLite.": (
        "Ce que les commandes savent de la base de données du site : un fichier de SQLite."
    ),
    "The name of the database in var/, and in a copy of the data": (
        "Le nom de la base de données dans var/, et dans une copie des données"
    ),
    "The database, and what SQLite has beside it as long as it is open": (
        "La base, et ce que SQLite tient à côté tant qu'elle est ouverte"
    ),
    "Which database the settings name": "La base que nomment les réglages",
    "Settings that cannot be loaded name none.": (
        "Des réglages qu'on ne peut pas charger n'en nomment aucune."
    ),
    "This site was generated for SQLite in {file}, and its settings name another database "
    "({engine} {name}): releases and copies would miss it. Generate the project anew with "
    "database=postgresql, or take that setting back.": (
        "Ce site a été généré pour SQLite dans {file}, et ses réglages nomment une autre base de "
        "données ({engine} {name}) : les mises en service et les copies passeraient à côté. "
        "Générez le projet à nouveau avec database=postgresql, ou revenez sur ce réglage."
    ),
    "Copies it into the rehearsal's var/.": "La copie dans le var/ de la répétition.",
    "Of the rehearsal's: {(table, column): (must have a value, has a default)}; empty "
    "without a database.": (
        "De la base de la répétition : {(table, colonne) : (doit avoir une valeur, a une valeur "
        "par défaut)} ; vide s'il n'y a pas de base."
    ),
    "SQLite's own way: unlike cp, it copies a database that is being written to as it stood at one"
    " moment.": (
        "Par SQLite lui-même : contrairement à cp, il copie une base en cours d'écriture telle"
        " qu'elle était à un instant."
    ),
    "One file, which needs no other beside it": "Un seul fichier, qui se passe des autres",
    "One whose last changes stand in a file beside it becomes one file.": (
        "Celle dont les derniers changements sont dans un fichier à côté devient un seul fichier."
    ),
    "{folder} holds the data that an interrupted restore has replaced: save what you need of it, then remove it.": "{folder} contient les données qu'une restauration interrompue a remplacées : sauvez ce qu'il vous en faut, puis supprimez-le.",
    "{copy} is damaged, or no copy of a site ({reason}): take another.": (
        "{copy} est abîmée, ou n'est pas la copie d'un site ({reason}) : prenez-en une autre."
    ),
    "sqlite3.Error: it is damaged, or no database of the site.": (
        "sqlite3.Error : elle est abîmée, ou ce n'est pas une base du site."
    ),
    "Where there is none, SQLite would make an empty one.": (
        "S'il n'y en a pas, SQLite en ferait une vide."
    ),
    # deploy/server/{% if cookiecutter.tasks == 'celery' %}tasks.py{% endif %}
    "What the commands know of the site's tasks: their broker, and whether the worker of a "
    "release does what the one before has queued.": (
        "Ce que les commandes savent des tâches du site : leur courtier, et si le worker d'une "
        "version fait ce que la précédente a mis dans la file."
    ),
    "Warning: {name} is gone, and such tasks that {release}, which serves, has queued would "
    "be lost. Remove it in a later release than the code that queues it.": (
        "Attention : {name} a disparu, et de telles tâches mises dans la file par {release}, qui "
        "est en service, seraient perdues. Ôtez-la dans une version postérieure à celle qui ôte "
        "le code qui l'y met."
    ),
    "Warning: {name} takes {new}, and such tasks that {release}, which serves, has queued "
    "were made for {old}: they would fail. Add an argument at the end, with a default value; "
    "take one away in a later release than the code that gives it.": (
        "Attention : {name} attend {new}, et de telles tâches mises dans la file par {release}, "
        "qui est en service, ont été faites pour {old} : elles échoueraient. Ajoutez un argument "
        "à la fin, avec une valeur par défaut ; ôtez-en un dans une version postérieure à celle "
        "qui ôte le code qui le donne."
    ),
    "For manage.py shell: the site's own tasks, each with its signature, and with the name "
    "of each argument and whether it may be left out": (
        "Pour manage.py shell : les tâches du site lui-même, chacune avec sa signature, le nom "
        "de chaque argument, et s'il peut manquer"
    ),
    "And the names of the tasks that a worker knows, as it says itself; it may take half a "
    "minute to come up.": (
        "Et les noms des tâches qu'un worker connaît, comme il le dit lui-même ; il peut mettre "
        "une demi-minute à venir."
    ),
    "A worker with a broker that nobody else knows must know the tasks of the release.": (
        "Un worker, avec un courtier que personne d'autre ne connaît, doit connaître les tâches "
        "de la version."
    ),
    "The socket in var/, which is that of the rehearsal": (
        "La socket dans var/, qui est celui de la répétition"
    ),
    "The worker does not know {names}.": "Le worker ne connaît pas {names}.",
    "In sentences: what the worker of the new release cannot do of what waits.": (
        "En phrases : ce que le worker de la nouvelle version ne peut pas faire de ce qui attend."
    ),
    "It has no tasks, or cannot even be loaded: it has queued none.": (
        "Elle n'a pas de tâches, ou ne se charge même pas : elle n'en a mis aucune dans la file."
    ),
    "Whether whoever gives the old arguments may call the new ones: the same come first, and "
    "what has come since may be left out.": (
        "Si l'on peut donner les anciens arguments à la nouvelle : les mêmes viennent d'abord, "
        "et ce qui s'y est ajouté peut manquer."
    ),
    # deploy/servers.sh
    "Brings the code from here to the servers of deploy/inventory.ini, and runs commands there. deploy/servers.sh --help says more.": "Porte le code d'ici aux serveurs de deploy/inventory.ini, et y lance des commandes. deploy/servers.sh --help en dit plus.",
    # deploy/supervisor_plugin/children.py
    "Ends what supervisord has started when supervisord is killed: orphans would keep the "
    "site's port, and whatever else they hold. Linux only.": (
        "Arrête ce que supervisord a démarré quand supervisord est tué : des orphelins "
        "garderaient le port du site, et tout ce qu'ils tiennent. Sous Linux seulement."
    ),
    "As each is started: the system sends it the signal that stops it.": (
        "Au démarrage de chacun : le système lui enverra le signal qui l'arrête."
    ),
    "From now on, supervisord keeps its pid: it is in the background.": (
        "À partir d'ici, supervisord garde son pid : il est en arrière-plan."
    ),
    "supervisord's own handler would swallow it, until the program is in its place.": "Le gestionnaire de supervisord l'avalerait, tant que le programme n'est pas à sa place.",
    "It may have been killed already.": "Il peut avoir été tué déjà.",
    # deploy/supervisor_plugin/config_check.py
    "Refuses a config that cannot work before anything stops for it: at update, reread, reload and"
    " SIGHUP.": (
        "Refuse, avant que rien ne s'arrête pour elle, une configuration qui ne peut pas marcher :"
        " à update, reread, reload et SIGHUP."
    ),
    "supervisord by itself stops what runs first, and sees then: the site would be gone.": (
        "supervisord arrête d'abord ce qui tourne, et ne voit qu'ensuite : le site serait perdu."
    ),
    "supervisorctl shows its text.": "supervisorctl montre son texte.",
    "deploy/supervisord.conf is refused, and everything goes on as before. {reason}": (
        "deploy/supervisord.conf est refusé, et rien ne change. {reason}"
    ),
    "What runs already is left alone, and its addresses may be taken again.": (
        "On ne touche pas à ce qui tourne déjà, et ses adresses peuvent être reprises."
    ),
    "As supervisord's own code reads it when it starts.": (
        "Comme le lit le code de supervisord à son démarrage."
    ),
    "The last line is a hint at its help.": "La dernière ligne renvoie à son aide.",
    "Those of the FastCGI groups, of supervisorctl and of the web interface.": (
        "Celles des groupes FastCGI, de supervisorctl et de l'interface web."
    ),
    "Whether only one of them can be open: 0.0.0.0:8000 holds 127.0.0.1:8000 too.": (
        "Dit si une seule des deux peut être ouverte : 0.0.0.0:8000 prend aussi 127.0.0.1:8000."
    ),
    "For a moment, as supervisord will.": "Un instant, comme le fera supervisord.",
    "supervisord replaces any file: only a socket that nobody listens to may go.": (
        "supervisord remplace tout fichier : seule peut partir une socket que nul n'écoute."
    ),
    "SIGHUP means reload.": "SIGHUP veut dire reload.",
    # deploy/supervisor_plugin/failed_logins.py
    "Logs who tries passwords at supervisord's web interface.": (
        "Note qui essaie des mots de passe à l'interface web de supervisord."
    ),
    "One line in supervisord's log for each wrong password, with the address.": (
        "Une ligne au journal de supervisord par mot de passe faux, avec l'adresse."
    ),
    "A browser asks without a password first. supervisorctl comes by a UNIX socket, without an"
    " address.": (
        "Un navigateur demande d'abord sans mot de passe. supervisorctl vient par une socket UNIX,"
        " sans adresse."
    ),
    "Failed login to the web interface from {address}": (
        "Connexion refusée à l'interface web depuis {address}"
    ),
    # deploy/supervisor_plugin/fd_store.py
    "Has systemd hold the listening sockets while supervisord itself restarts: visitors wait.": (
        "Confie à systemd les sockets d'écoute pendant que supervisord lui-même redémarre : les"
        " visiteurs attendent."
    ),
    "They lie in the service's file descriptor store, and systemd hands them to the next"
    " supervisord: sd_notify(3), sd_listen_fds(3). Where it does not run the site, none of this does"
    " anything.": (
        "Elles restent dans la réserve de descripteurs du service, et systemd les remet au"
        " supervisord suivant : sd_notify(3), sd_listen_fds(3). Là où ce n'est pas lui qui lance le"
        " site, rien de tout cela n'agit."
    ),
    "The sockets that systemd hands over, by address. gunicorn must not see their variables.": (
        "Les sockets que remet systemd, par adresse. gunicorn ne doit pas voir leurs variables."
    ),
    "Makes the socket of a group, instead of supervisord's own method. Twice at the start:"
    " supervisord closes the first at once.": (
        "Crée la socket d'un groupe, à la place de la méthode de supervisord. Deux fois au démarrage :"
        " supervisord ferme aussitôt la première."
    ),
    "One of them may be in the way: 0.0.0.0 has all addresses of its port.": (
        "L'une d'elles peut gêner : 0.0.0.0 occupe toutes les adresses de son port."
    ),
    "systemd drops a socket that is shut down. By itself, one closes with its last process.": (
        "systemd lâche une socket fermée par shutdown. Sinon, elle se ferme avec son dernier"
        " processus."
    ),
    "One that systemd has already is not stored twice.": (
        "Celle que systemd a déjà n'est pas gardée deux fois."
    ),
    "supervisord has all that it needs. From now on, systemd holds on whatever ends it.": (
        "supervisord a tout ce qu'il lui faut. Désormais, systemd tient bon, quoi qui l'arrête."
    ),
    "A supervisord that cannot start must not make visitors wait for it.": (
        "Un supervisord qui ne peut pas démarrer ne doit pas faire attendre les visiteurs."
    ),
    "It makes its groups before it calls a plugin: this must stand ready.": (
        "Il crée ses groupes avant d'appeler un greffon : ceci doit être prêt."
    ),
    # deploy/supervisor_plugin/held_sockets.py
    "Keeps the listening sockets open while every process of their group restarts.": (
        "Garde les sockets d'écoute ouvertes pendant que tous les processus d'un groupe"
        " redémarrent."
    ),
    "supervisord closes a group's socket when the last process that has it ends: visitors would be"
    " refused until another starts. A reference held here keeps it open, and they wait. It is let"
    " go when the group stays stopped, so that a proxy can say at once that the site is down.": (
        "supervisord ferme la socket d'un groupe quand finit le dernier processus qui l'a : les"
        " visiteurs seraient refusés jusqu'au prochain démarrage. Une référence tenue ici la garde"
        " ouverte, et ils attendent. Elle est lâchée quand le groupe reste arrêté, pour qu'un proxy"
        " puisse dire aussitôt que le site est arrêté."
    ),
    "One reference to the socket of each FastCGI group, as long as the group is meant to run.": (
        "Une référence à la socket de chaque groupe FastCGI, tant que le groupe est censé tourner."
    ),
    "The groups that were stopped at the last tick.": (
        "Les groupes qui étaient arrêtés au dernier battement."
    ),
    "Before the first process starts, too: who asks in that moment waits for it.": (
        "Dès avant le premier processus : qui demande une page à cet instant l'attend."
    ),
    "A process starts: its group is meant to run.": (
        "Un processus démarre : son groupe est censé tourner."
    ),
    "A group that is stopped at two ticks on end, five seconds apart, is meant to be.": (
        "Un groupe arrêté à deux battements de suite, à cinq secondes d'écart, est censé l'être."
    ),
    "At once: a group of the same address may follow.": (
        "Aussitôt : un groupe de même adresse peut suivre."
    ),
    "supervisord ends, and systemd holds them; or begins anew (supervisorctl reload), and then it"
    " must make them itself.": (
        "supervisord finit, et systemd les tient ; ou il recommence (supervisorctl reload), et doit"
        " alors les créer lui-même."
    ),
    # deploy/supervisor_plugin/pace.py
    "Has supervisord look at its processes when it is worth it: soon after a change, but not for"
    " each line of a log.": (
        "Fait revenir supervisord à ses processus quand il le faut : peu après un changement, mais"
        " pas pour chaque ligne d'un journal."
    ),
    "Between two looks supervisord sleeps until a process or a command says something, a second at"
    " most. The first start, each step of a restart and the answers to commands wait for such"
    " looks; and each request wakes it for a single line of the log. Measured on two processors,"
    " with and without this: first answer after a start 2.3 and 3.2 s; restart all 2.9 and 4.4 s;"
    " supervisord's processor time for each request 0.03 and 0.15 ms, a tenth of a page.": (
        "Entre deux tours, supervisord dort jusqu'à ce qu'un processus ou une commande dise quelque"
        " chose, une seconde au plus. Le premier démarrage, chaque étape d'un redémarrage et les"
        " réponses aux commandes attendent un tour ; et chaque requête le réveille pour une seule"
        " ligne du journal. Mesuré sur deux processeurs, avec et sans ceci : première réponse après"
        " un démarrage 2,3 et 3,2 s ; restart all 2,9 et 4,4 s ; temps de processeur de supervisord"
        " par requête 0,03 et 0,15 ms, un dixième d'une page."
    ),
    "supervisord rests this long before each look: lines gather.": (
        "supervisord se repose ainsi avant chaque tour : des lignes s'accumulent."
    ),
    "For this long after a change it sleeps no longer than that.": (
        "Aussi longtemps après un changement, il ne dort pas davantage."
    ),
    "Changes the sleep; supervisord does everything else as before.": (
        "Change le sommeil ; supervisord fait tout le reste comme avant."
    ),
    "supervisord calls it as poll(): it returns what can be read and written.": (
        "supervisord l'appelle sous le nom de poll() : elle rend ce qui peut être lu et écrit."
    ),
    # deploy/supervisor_plugin/plain_commands.py
    "Has supervisorctl say refusals in a sentence, and return from shutdown when supervisord is"
    " gone.": (
        "Fait dire les refus en une phrase par supervisorctl, et finir shutdown une fois"
        " supervisord parti."
    ),
    "After this many seconds, a sentence says why it takes so long.": (
        "Après autant de secondes, une phrase dit pourquoi c'est si long."
    ),
    "Takes the place of some of supervisorctl's own commands.": (
        "Remplace quelques commandes de supervisorctl."
    ),
    "A letter that the terminal does not know would end the command.": (
        "Une lettre que le terminal ne connaît pas mettrait fin à la commande."
    ),
    "supervisord goes on ending by itself.": "supervisord continue seul à s'arrêter.",
    "It is not where somebody has answered no.": "Ce n'est pas le cas si on a répondu non.",
    "supervisord hangs up last, when its addresses are free.": (
        "supervisord raccroche en dernier, quand ses adresses sont libres."
    ),
    "Its programs finish what they have begun; Ctrl-C ends only the waiting.": (
        "Ses programmes finissent ce qu'ils ont commencé ; Ctrl-C n'arrête que l'attente."
    ),
    "At once, also where the output is a file or a pipe.": (
        "Aussitôt, même quand la sortie est un fichier ou un tube."
    ),
    # deploy/supervisor_plugin/plain_errors.py
    "Says in a sentence why supervisord or a process cannot start, where supervisord would show its"
    " own code.": (
        "Dit en une phrase pourquoi supervisord ou un processus ne peut pas démarrer, au lieu de"
        " montrer le code de supervisord."
    ),
    "Make it writable for the user who starts supervisord.": (
        "Rendez-le accessible en écriture à l'utilisateur qui lance supervisord."
    ),
    "Its folder is missing: ./bootstrap.sh makes it.": (
        "Son dossier manque : ./bootstrap.sh le crée."
    ),
    "Its disk is full: free some space.": "Son disque est plein : faites de la place.",
    "Its disk is read-only: mount it for writing.": (
        "Son disque est en lecture seule : montez-le en écriture."
    ),
    "supervisord needs it: put that right, and start it again.": (
        "supervisord en a besoin : corrigez cela, puis redémarrez-le."
    ),
    "Stop the program that listens there, or change the address in deploy/supervisord.conf.": (
        "Arrêtez le programme qui y écoute, ou changez l'adresse dans deploy/supervisord.conf."
    ),
    "Python calls it with the error that ends supervisord.": (
        "Python l'appelle avec l'erreur qui met fin à supervisord."
    ),
    "A socket that was let go may be taken when its group starts again: supervisord itself would"
    " end.": (
        "Une socket lâchée peut être prise quand son groupe redémarre : supervisord lui-même"
        " finirait."
    ),
    # deploy/supervisor_plugin/readable_logs.py
    "Shows a log whatever stands in it, where supervisord fails over half a letter or over a"
    " color; and the time zone in its own.": (
        "Montre un journal quoi qu'il contienne, là où supervisord échoue sur une moitié de lettre"
        " ou sur une couleur ; et le fuseau horaire dans le sien."
    ),
    "What XML cannot hold, and what a terminal would obey.": (
        "Ce que XML ne peut contenir, et ce à quoi un terminal obéirait."
    ),
    "A piece of a log as text.": "Un morceau de journal, en texte.",
    "tail -f: a letter may come in two pieces.": (
        "tail -f : une lettre peut venir en deux morceaux."
    ),
    "The end, or a word about a log that was emptied.": (
        "La fin, ou un mot sur un journal qu'on a vidé."
    ),
    "A line of supervisord's own log.": "Une ligne du journal de supervisord lui-même.",
    "For supervisorctl tail and maintail, for the web interface, and in supervisord.log.": (
        "Pour supervisorctl tail et maintail, pour l'interface web, et dans supervisord.log."
    ),
    # deploy/supervisor_plugin/readiness.py
    "Notes which processes serve: RUNNING means only that they have lived a while.": (
        "Note quels processus servent : RUNNING dit seulement qu'ils vivent depuis un moment."
    ),
    "A process says so by sd_notify(3), a protocol of systemd's that gunicorn speaks by itself: it"
    " sends READY=1 to the socket that NOTIFY_SOCKET names. Linux only; elsewhere none is ever"
    " noted.": (
        "Un processus le dit par sd_notify(3), un protocole de systemd que gunicorn parle de"
        " lui-même : il envoie READY=1 à la socket que nomme NOTIFY_SOCKET. Linux seulement ;"
        " ailleurs, aucun n'est noté."
    ),
    "A socket in supervisord's main loop, which calls the methods that have no comment.": (
        "Une socket dans la boucle de supervisord, qui appelle les méthodes sans commentaire."
    ),
    "Those that are ready since their last start, as group:process.": (
        "Ceux qui sont prêts depuis leur dernier démarrage, sous la forme groupe:processus."
    ),
    "The kernel tells who sent a message: nobody can speak for another process.": (
        "Le noyau dit qui a envoyé un message : nul ne peut parler pour un autre processus."
    ),
    "An empty name makes the kernel choose one that is free, and is no file.": (
        "Un nom vide en fait choisir un libre par le noyau, qui n'est pas un fichier."
    ),
    "supervisord ends, or begins anew (supervisorctl reload).": (
        "supervisord finit, ou recommence (supervisorctl reload)."
    ),
    "A process starts: it is not ready yet.": "Un processus démarre : il n'est pas encore prêt.",
    "group:process, as supervisorctl writes it.": "groupe:processus, comme l'écrit supervisorctl.",
    # deploy/supervisor_plugin/retries.py
    "Tries again what supervisord has given up: FATAL would else last until somebody comes.": (
        "Réessaie ce que supervisord a abandonné : FATAL durerait, sinon, jusqu'à ce qu'on vienne."
    ),
    "Seconds until the next try, and the one after it; the last stays.": (
        "Les secondes jusqu'à l'essai suivant, puis jusqu'à celui d'après ; la dernière reste."
    ),
    "Of the processes that supervisord shall restart; names are group:process.": (
        "Pour les processus que supervisord doit relancer ; les noms sont groupe:processus."
    ),
    "How often each was given up since it last ran, and when it is tried again.": (
        "Combien de fois chacun a été abandonné depuis qu'il a tourné, et quand on le réessaie."
    ),
    "What was said of each, until it runs.": "Ce qui a été dit de chacun, jusqu'à ce qu'il tourne.",
    "status shows it.": "status le montre.",
    "{error}; next try at {time}": "{error} ; nouvel essai à {time}",
    "systemctl status shows it.": "systemctl status le montre.",
    "By hand, if it was not due yet.": "À la main, s'il n'était pas encore temps.",
    "FATAL becomes STOPPED: supervisord itself has nothing to stop there.": (
        "FATAL devient STOPPED : supervisord lui-même n'a rien à y arrêter."
    ),
    "Whom stop and start, with a group or all, ask.": (
        "Ce que demandent stop et start, pour un groupe ou pour all."
    ),
    # deploy/supervisor_plugin/rolling_restart.py
    "A command of supervisorctl that restarts a group while it goes on serving.": (
        "Une commande de supervisorctl qui redémarre un groupe pendant qu'il continue à servir."
    ),
    "A process may take this long to become ready once supervisord calls it RUNNING.": (
        "Le temps laissé à un processus pour être prêt une fois que supervisord le dit RUNNING."
    ),
    "The code that is current, and on a server the link that leads to it": (
        "Le code du moment et, sur un serveur, le lien qui y mène"
    ),
    "A process that was started does not run, or is not ready.": (
        "Un processus démarré ne tourne pas, ou n'est pas prêt."
    ),
    "supervisorctl makes one of it, and finds the command by its name.": (
        "supervisorctl en crée un objet, et trouve la commande par son nom."
    ),
    "supervisorctl asks every plugin for help; the first would say that there is none.": (
        "supervisorctl demande de l'aide à chaque greffon ; le premier dirait qu'il n'y en a pas."
    ),
    "Restart the processes of a group, or of all that run the site's code, one after the other;"
    " wait for each": (
        "Redémarrer les processus d'un groupe, ou tous ceux qui font tourner le code du site, l'un"
        " après l'autre, en attendant chacun"
    ),
    "Name a group: %s.": "Nommez un groupe : %s.",
    "There is no group %s; there are: %s.": "Il n'y a pas de groupe %s ; il y a : %s.",
    "All that runs its code. Beside gunicorn, what was stopped or has ended stays so, and what did"
    " not run may fail again.": (
        "Tout ce qui fait tourner son code. Hormis gunicorn, ce qui était arrêté ou fini le reste,"
        " et ce qui ne tournait pas peut échouer encore."
    ),
    "As the config is now; one that is refused is said elsewhere.": (
        "Selon la configuration du moment ; qu'elle soit refusée se dit ailleurs."
    ),
    "The folder of supervisord's socket is locked until this ends, even by kill -9.": (
        "Le dossier de la socket de supervisord est verrouillé jusqu'à la fin, même par kill -9."
    ),
    "An http address: the folder is out of reach.": (
        "Une adresse http : le dossier est hors de portée."
    ),
    "Another rolling_restart is under way: wait for its end.": (
        "Un autre rolling_restart est en cours : attendez sa fin."
    ),
    "gunicorn comes first: where it fails, the rest still runs the old code. Of each, what does not"
    " run comes first: the more serve when one that does is stopped.": (
        "gunicorn d'abord : s'il échoue, le reste fait encore tourner l'ancien code. De part et"
        " d'autre, ce qui ne tourne pas passe devant : il en sert d'autant plus quand on arrête"
        " l'un de ceux qui tournent."
    ),
    "A release that is interrupted ends this between two processes: none stays stopped.": (
        "Une mise en service interrompue met fin à ceci entre deux processus : aucun ne reste"
        " arrêté."
    ),
    "Interrupted before %s.": "Interrompu avant %s.",
    "%s: restarting (%d of %d)": "%s : redémarrage (%d sur %d)",
    "%s does not run, as before.": "%s ne tourne pas, comme avant.",
    "%s did not come up: %s tells why. The rest was left as it is.": (
        "%s n'a pas démarré : %s dit pourquoi. Le reste est demeuré tel quel."
    ),
    "Interrupted. If it is stopped: supervisorctl start %s": (
        "Interrompu. S'il est arrêté : supervisorctl start %s"
    ),
    "%s: running": "%s : en marche",
    "Returns when the process is RUNNING, and ready where its group reports that.": (
        "Revient quand le processus est RUNNING, et prêt si son groupe le signale."
    ),
    "A cache beside the site, say, does not: it need not restart for new code; nor what "
    "works in var/.": (
        "Un cache à côté du site, par exemple, ne l'exécute pas : il n'a pas à redémarrer pour "
        "un nouveau code ; ni ce qui travaille dans var/."
    ),
    # deploy/supervisor_plugin/same_origin.py
    "Keeps the pages of other sites away from supervisord's web interface.": (
        "Tient les pages d'autres sites à l'écart de l'interface web de supervisord."
    ),
    "A browser sends the login that it remembers along with every request, also with one that a"
    " page of another site makes: a link to index.html?action=stopall would stop everything.": (
        "Un navigateur joint à chaque requête l'identification qu'il a retenue, même si c'est la"
        " page d'un autre site qui la fait : un lien vers index.html?action=stopall arrêterait"
        " tout."
    ),
    "Refused: this request does not come from the pages of the web interface.": (
        "Refusé : cette requête ne vient pas des pages de l'interface web."
    ),
    "Open the interface yourself: type its IP address and port into the browser.": (
        "Ouvrez l'interface vous-même : tapez son adresse IP et son port dans le navigateur."
    ),
    "Stands before the handlers of an HTTP server and answers what none of them may see.": (
        "Précède les gestionnaires d'un serveur HTTP et répond à ce qu'aucun ne doit voir."
    ),
    "Whether this handler shall answer. The server asks it about every request.": (
        "Dit si c'est à lui de répondre ; le serveur le lui demande pour chaque requête."
    ),
    "Nor may another site show the interface in a frame, and lure the visitor's clicks there.": (
        "Un autre site ne doit pas non plus montrer l'interface dans un cadre, pour y attirer les"
        " clics du visiteur."
    ),
    "Another site's name can lead here too: its owner decides (DNS rebinding).": (
        "Le nom d'un autre site peut aussi mener ici : son propriétaire en décide (DNS rebinding)."
    ),
    "What follows is the rest of this request, never another one.": (
        "Ce qui suit est le reste de cette requête, jamais une autre."
    ),
    "Where the browser says that a request comes from: itself, other or unknown.": (
        "D'où le navigateur dit que vient la requête : itself, other ou unknown."
    ),
    "Sent to this machine's own addresses and over https. none: typed, or a bookmark.": (
        "Envoyé aux adresses locales de la machine et en https. none : adresse tapée, ou signet."
    ),
    "Sent with every POST (Origin), and with most other requests (Referer).": (
        "Envoyés avec chaque POST (Origin) et la plupart des autres requêtes (Referer)."
    ),
    "Whether a page of the interface would do something, as its buttons do.": (
        "Dit si une page de l'interface agirait, comme le font ses boutons."
    ),
    "supervisord calls it once for each of its HTTP servers; once is enough.": (
        "supervisord l'appelle une fois par serveur HTTP ; une fois suffit."
    ),
    "Called before the HTTP servers are known; they read no request before the event.": (
        "Appelée avant que les serveurs HTTP soient connus ; ils ne lisent aucune requête avant"
        " l'événement."
    ),
    "No browser reaches a UNIX socket.": "Aucun navigateur n'atteint une socket UNIX.",
    "Its methods would become commands; it has none.": (
        "Ses méthodes seraient des commandes ; il n'en a pas."
    ),
    # deploy/supervisor_plugin/server.py
    "What supervisord does not do by itself.": "Ce que supervisord ne fait pas de lui-même.",
    "supervisord loads this module: it looks at its processes when it is worth it, keeps the "
    "sockets of FastCGI groups open while their processes restart, notes which processes are "
    "ready, ends them when it is killed itself, tries again what has failed, refuses a "
    "config that cannot work, shows any log, logs failed logins, and says in a sentence why "
    "supervisord cannot start. supervisorctl loads rolling_restart, which needs this one.": (
        "supervisord charge ce module, qui revient aux processus quand il le faut, garde "
        "ouvertes les sockets des groupes FastCGI pendant que leurs processus redémarrent, note "
        "quels processus sont prêts, les arrête quand il est lui-même tué, réessaie ce qui a "
        "échoué, refuse une configuration qui ne peut pas marcher, montre tout journal, note les "
        "connexions refusées, et dit en une phrase pourquoi supervisord ne peut pas démarrer. "
        "supervisorctl charge rolling_restart, qui a besoin de celui-ci."
    ),
    "Imported as supervisord reads its config: its programs, started later, get no more. What"
    " systemd says, fd_store.py has taken.": (
        "Importé quand supervisord lit sa configuration : ses programmes, lancés ensuite, ne reçoivent"
        " rien d'autre. Ce que dit systemd, fd_store.py l'a déjà pris."
    ),
    "supervisord opens the sockets before it calls make_rpcinterface: this must stand ready.": (
        "supervisord ouvre les sockets avant d'appeler make_rpcinterface : ceci doit être prêt."
    ),
    "The methods that supervisorctl can call, as supervisor_plugin.*": (
        "Les méthodes que supervisorctl peut appeler, sous le nom de supervisor_plugin.*"
    ),
    "Names the processes that have said since their last start that they serve.": (
        "Nomme les processus qui ont dit, depuis leur dernier démarrage, qu'ils servent."
    ),
    "names, as group:process": "les noms, sous la forme groupe:processus",
    "supervisord calls it once for each of its HTTP servers; one plugin is enough.": (
        "supervisord l'appelle pour chacun de ses serveurs HTTP ; un seul greffon suffit."
    ),
    "Called once supervisord has made its groups, before it starts their programs.": (
        "Appelé quand supervisord a formé ses groupes, avant qu'il démarre leurs programmes."
    ),
    # deploy/supervisor_plugin/systemd.py
    "What supervisord says to systemd, where that runs the site: sd_notify(3), sd-daemon(3).": (
        "Ce que supervisord dit à systemd, là où celui-ci fait tourner le site : sd_notify(3),"
        " sd-daemon(3)."
    ),
    "Taken now: readiness.py puts another in its place, for gunicorn.": (
        "Prise dès maintenant : readiness.py en met une autre à sa place, pour gunicorn."
    ),
    "Lines as NAME=value, and sockets to hold.": "Des lignes NOM=valeur, et des sockets à tenir.",
    "Into the journal.": "Dans le journal de systemd.",
    # deploy/supervisord.conf
    "Read by supervisord and by supervisorctl, on a laptop as on a server. %(here)s is the folder"
    " of this file: no path here depends on a machine.": (
        "Lu par supervisord et par supervisorctl, sur un poste de travail comme sur un serveur."
        " %(here)s est le dossier de ce fichier : aucun chemin ne dépend d'une machine."
    ),
    "supervisorctl talks to supervisord through this socket; only its owner may open it. The name"
    " is short because the whole path may have 107 bytes at most.": (
        "supervisorctl parle à supervisord par cette socket ; seul son propriétaire peut l'ouvrir."
        " Le nom est court car le chemin entier a droit à 107 octets."
    ),
    "The web interface. Whoever reaches it can stop the site: keep it on a loopback or private"
    " address.": (
        "L'interface web. Quiconque l'atteint peut arrêter le site : laissez-la sur une adresse"
        " locale ou privée."
    ),
    "Without it, any page of any site that you visit could press the buttons of the web interface"
    " for you: deploy/supervisor_plugin/same_origin.py.": (
        "Sans cela, n'importe quelle page de n'importe quel site que vous visitez pourrait presser"
        " à votre place les boutons de l'interface web : deploy/supervisor_plugin/same_origin.py."
    ),
    "Both stand outside git. The first holds the password of the web interface: bootstrap.sh "
    "writes it; without it supervisord does not start. What the second says counts on this "
    "machine alone: ./bootstrap.sh --port writes the addresses there.": (
        "Tous deux sont hors de git. Le premier contient le mot de passe de l'interface web : "
        "bootstrap.sh l'écrit ; sans lui, supervisord ne démarre pas. Ce que dit le second vaut "
        "sur cette seule machine : ./bootstrap.sh --port y écrit les adresses."
    ),
    "Outside git. What it says counts on this machine alone: ./bootstrap.sh --port writes "
    "the address there.": (
        "Hors de git. Ce qu'il dit vaut sur cette seule machine : ./bootstrap.sh --port y écrit "
        "l'adresse."
    ),
    "Logs rotate by themselves: at this size a new file begins, and five old ones are kept.": (
        "Les journaux tournent d'eux-mêmes : à cette taille un nouveau fichier commence, et cinq"
        " anciens sont gardés."
    ),
    "There is no user= here or below: everything runs as the user who starts supervisord, never as"
    " root.": (
        "Pas de user= ici ni plus bas : tout tourne sous l'utilisateur qui lance supervisord,"
        " jamais en root."
    ),
    "The commands that supervisorctl and the web interface call.": (
        "Les commandes qu'appellent supervisorctl et l'interface web."
    ),
    "Starts the site at once, keeps its socket open while every gunicorn restarts, tries again what"
    " has failed, and refuses settings that cannot work: deploy/supervisor_plugin/.": (
        "Démarre le site aussitôt, garde sa socket ouverte pendant que tous les gunicorn"
        " redémarrent, réessaie ce qui a échoué, et refuse des réglages qui ne peuvent pas marcher :"
        " deploy/supervisor_plugin/."
    ),
    "The command rolling_restart: new code without a lost request.": (
        "La commande rolling_restart : un nouveau code sans perdre une requête."
    ),
    "Tells ADMINS by mail what died and what is back, and sends the mails of var/mails: "
    "deploy/server/alerts.py. Every five seconds, supervisord tells it to look.": (
        "Dit par courriel aux ADMINS ce qui est mort et ce qui est revenu, et envoie les "
        "courriels de var/mails : deploy/server/alerts.py. Toutes les cinq secondes, supervisord "
        "lui dit de regarder."
    ),
    "It speaks with supervisord by its standard output; its standard error is its log.": (
        "Il parle à supervisord par sa sortie standard ; sa sortie d'erreur est son journal."
    ),
    "An fcgi-program is a program whose listening socket supervisord opens and holds: while one"
    " gunicorn restarts, the other answers on the same socket.": (
        "Un fcgi-program est un programme dont supervisord ouvre et garde la socket d'écoute :"
        " pendant qu'un gunicorn redémarre, l'autre répond sur la même socket."
    ),
    "The quotes let the project stand in a folder with a space in its name.": (
        "Les guillemets permettent au projet d'être dans un dossier dont le nom contient une"
        " espace."
    ),
    "A gunicorn that lives this long has started; one that dies sooner counts as a failed start.": (
        "Un gunicorn qui vit aussi longtemps a démarré ; s'il meurt plus tôt, c'est un démarrage"
        " manqué."
    ),
    "Longer than gunicorn's graceful_timeout, so that requests in progress end before the stop;"
    " then the workers go with their master.": (
        "Plus long que le graceful_timeout de gunicorn, pour que les requêtes en cours s'achèvent"
        " avant l'arrêt ; ensuite les workers partent avec leur maître."
    ),
    "The broker: it keeps the tasks that wait. It starts first and stops last. No release "
    "restarts it, for it runs in var.": (
        "Le courtier : il garde les tâches qui attendent. Il démarre le premier et s'arrête le "
        "dernier. Aucune mise en service ne le redémarre, car il tourne dans var."
    ),
    "What waits in it is for this user alone.": "Ce qui y attend n'est que pour cet utilisateur.",
    "Does the tasks. Each release and each reload restarts it, after gunicorn; one that dies "
    "within startsecs, long enough for Django to load, has not started, and the release goes "
    "back.": (
        "Fait les tâches. Chaque mise en service et chaque reload le redémarrent, après gunicorn "
        "; s'il meurt avant startsecs, le temps que Django se charge, il n'a pas démarré, et la "
        "mise en service est défaite."
    ),
    "What it leaves out would keep several workers informed of each other; and a heartbeat, "
    "without a broker, would keep it from its end.": (
        "Ce qu'il laisse de côté tiendrait plusieurs workers au courant les uns des autres ; et "
        "un battement de cœur, sans courtier, l'empêcherait de finir."
    ),
    "QUIT: what does not end within CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT goes back to the "
    "queue. TERM would wait for it as long as it takes, until it is killed, and only the "
    "broker's visibility_timeout would bring it back.": (
        "QUIT : ce qui ne finit pas dans CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT retourne dans la "
        "file. TERM l'attendrait le temps qu'il faut, jusqu'à ce qu'il soit tué, et seul "
        "visibility_timeout le ramènerait."
    ),
    "Longer than that. Then its processes go with it; with stopasgroup they would go at "
    "once, and their tasks unfinished.": (
        "Plus long que cela. Ensuite ses processus partent avec lui ; avec stopasgroup ils "
        "partiraient tout de suite, leurs tâches inachevées."
    ),
    "Queues what is due, as CELERY_BEAT_SCHEDULE in the settings says.": (
        "Met dans la file ce dont l'heure est venue, comme le dit CELERY_BEAT_SCHEDULE dans les "
        "réglages."
    ),
    "A program of your own beside gunicorn, such as one that works off a queue: take away "
    "the semicolons before its lines. It runs the site's code: each release and each reload "
    "restarts it, after gunicorn. One that dies within startsecs, long enough for Django to "
    "load, has not started, and the release goes back. At TERM it should end what it is "
    "doing; after stopwaitsecs it is killed, with all that it has started.": (
        "Un programme à vous à côté de gunicorn, qui traite une file d'attente par exemple : "
        "retirez les points-virgules devant ses lignes. Il fait tourner le code du site : chaque "
        "publication et chaque rechargement le redémarrent, après gunicorn. S'il meurt avant "
        "startsecs, le temps que Django se charge, il n'a pas démarré, et la version précédente "
        "revient. À TERM, il doit finir ce qu'il fait ; passé stopwaitsecs, il est tué, avec "
        "tout ce qu'il a lancé."
    ),
    # deploy/systemd/check.service
    "Fails while the site does not work, for systemctl --failed and for all that watches units: the"
    " service itself goes on, since supervisord does. deploy/install.sh puts this file into"
    " /etc/systemd/system, with the words between @ filled in.": (
        "Échoue tant que le site ne marche pas, pour systemctl --failed et tout ce qui surveille"
        " les unités : le service lui-même continue, puisque supervisord continue."
        " deploy/install.sh met ce fichier dans /etc/systemd/system, en remplaçant les mots entre"
        " @."
    ),
    "The journal gets what is wrong, and nothing else.": (
        "Le journal reçoit ce qui ne va pas, et rien d'autre."
    ),
    "It looks, and changes nothing.": "Elle regarde, et ne change rien.",
    # deploy/systemd/check.timer
    "Starts the check while the service runs. deploy/install.sh puts this file into"
    " /etc/systemd/system, with the words between @ filled in.": (
        "Lance la vérification tant que le service tourne. deploy/install.sh met ce fichier dans"
        " /etc/systemd/system, en remplaçant les mots entre @."
    ),
    # deploy/systemd/supervisord.service
    "For a machine run by systemd: deploy/install.sh puts this file into /etc/systemd/system, with"
    " the words between @ filled in.": (
        "Pour une machine menée par systemd : deploy/install.sh met ce fichier dans"
        " /etc/systemd/system, en remplaçant les mots entre @."
    ),
    "Never give up starting the site again.": "Ne jamais renoncer à redémarrer le site.",
    "In the foreground (-n): systemd then watches supervisord itself.": (
        "Au premier plan (-n) : systemd surveille alors supervisord lui-même."
    ),
    "The config is read again, and the masters are replaced one after the other.": (
        "La configuration est relue, et les maîtres sont remplacés l'un après l'autre."
    ),
    "A worker may need longer to end its task than systemd grants a reload by itself.": (
        "Un worker peut mettre plus de temps à finir sa tâche que systemd n'en accorde à un"
        " rechargement."
    ),
    "After a crash, at once; not after supervisorctl shutdown. What ends by itself with an error"
    " would do so again and again, and fill the journal: it waits.": (
        "Après un plantage, tout de suite ; pas après supervisorctl shutdown. Ce qui finit de"
        " soi-même sur une erreur recommencerait sans cesse et remplirait le journal : il attend."
    ),
    "While supervisord restarts, visitors wait: systemd holds the sockets, so many at most."
    " deploy/supervisor_plugin/fd_store.py gives them to it.": (
        "Pendant que supervisord redémarre, les visiteurs attendent : systemd tient les sockets,"
        " tant au plus. deploy/supervisor_plugin/fd_store.py les lui confie."
    ),
    "TERM goes to supervisord alone, which stops its programs in order. Longer than its"
    " stopwaitsecs; what is left is killed.": (
        "TERM va au seul supervisord, qui arrête ses programmes dans l'ordre. Plus long que son"
        " stopwaitsecs ; ce qui reste est tué."
    ),
    "The site writes in var, and nowhere else.": "Le site écrit dans var, et nulle part ailleurs.",
    "Of /home, it sees its own folder alone, if that lies there.": (
        "De /home, il ne voit que son propre dossier, s'il y est."
    ),
    "It is a user like any other: no right of root, no way to get one.": (
        "C'est un utilisateur comme un autre : aucun droit de root, aucun moyen d'en obtenir."
    ),
    "It sees its own processes, and changes nothing of the machine.": (
        "Il voit ses propres processus, et ne change rien à la machine."
    ),
    "It speaks IP and UNIX sockets, and makes the system calls of a server. supervisord gives its"
    " sockets to their owner, hence @chown.": (
        "Il parle par IP et par sockets UNIX, et fait les appels système d'un serveur. supervisord"
        " donne ses sockets à leur propriétaire, d'où @chown."
    ),
    # deploy/{% if cookiecutter.tasks == 'celery' %}redis.conf{% endif %}
    "The site's own Redis, which keeps the tasks that wait. supervisord starts it, in var/.": (
        "Le Redis propre au site, qui garde les tâches en attente. supervisord le démarre, dans "
        "var/."
    ),
    "It is reached by its socket, by the site's user alone: no port.": (
        "On l'atteint par sa socket, et seul l'utilisateur du site : pas de port."
    ),
    "Each task is in var/redis/ before it counts as queued, and on the disk within a second: "
    "no crash of Redis loses one, one of the machine may lose those of its last second.": (
        "Chaque tâche est dans var/redis/ avant de compter comme mise dans la file, et sur le "
        "disque dans la seconde : aucune panne de Redis n'en perd, une panne de la machine peut "
        "perdre celles de sa dernière seconde."
    ),
    # manage.py
    "Django's commands for this site: venv/bin/python manage.py help": (
        "Les commandes de Django pour ce site : venv/bin/python manage.py help"
    ),
    # packages.sh
    "Adds packages to the site, or upgrades them: ./packages.sh add NAME, ./packages.sh "
    "upgrade [NAME]": (
        "Ajoute des paquets au site, ou les met à jour : ./packages.sh add NOM, ./packages.sh "
        "upgrade [NOM]"
    ),
    # pages/management/commands/compilemessages.py
    "Django's compilemessages, for the texts of the site: not those of the packages in venv/.": (
        "Le compilemessages de Django, pour les textes du site : sans ceux des paquets de venv/."
    ),
    # pages/management/commands/makemessages.py
    "Django's makemessages, for the texts of the site: not those of the packages in venv/.": (
        "Le makemessages de Django, pour les textes du site : sans ceux des paquets de venv/."
    ),
    # pages/management/commands/{% if cookiecutter.database == 'postgresql' %}migrate.py{% endif %}
    "Django's migrate, for a site that goes on: what cannot have its lock on a table gives "
    "way to the visitors behind it, and is tried again.": (
        "Le migrate de Django, pour un site qui continue : ce qui n'obtient pas son verrou sur "
        "une table laisse passer les visiteurs qui attendent derrière, puis recommence."
    ),
    "Of a long query of others, visitors wait behind a migration for no more than the first.": (
        "Quand une longue requête d'autrui retient une migration, les visiteurs n'attendent "
        "derrière elle que le premier de ces délais."
    ),
    "For a minute, others had a table in use that the migration changes, and it gave way to "
    "them. Let it begin again without them; this shows who they are: SELECT pid, xact_start, "
    "query FROM pg_stat_activity WHERE xact_start < now() ORDER BY xact_start": (
        "Pendant une minute, d'autres utilisaient une table que la migration modifie, et elle "
        "leur a cédé la place. Relancez-la quand ils auront fini ; ceci montre qui ils sont : "
        "SELECT pid, xact_start, query FROM pg_stat_activity WHERE xact_start < now() ORDER BY "
        "xact_start"
    ),
    "Others have the table in use: trying again.": "D'autres utilisent la table : nouvel essai.",
    "Each migration has its limit, but for one that PostgreSQL does in several transactions, "
    "such as AddIndexConcurrently: nobody waits behind it.": (
        "Chaque migration a sa limite, sauf celle que PostgreSQL fait en plusieurs transactions, "
        "comme AddIndexConcurrently : personne n'attend derrière elle."
    ),
    # pages/management/commands/{% if cookiecutter.tasks == 'celery' %}queue.py{% endif %}
    "Shows how many tasks wait: venv/bin/python manage.py queue": (
        "Montre combien de tâches attendent : venv/bin/python manage.py queue"
    ),
    "Shows how many tasks wait, and for how long the oldest has.": (
        "Montre combien de tâches attendent, et depuis quand la plus ancienne."
    ),
    "The broker does not answer: {reason}": "Le courtier ne répond pas : {reason}",
    "{waiting} waiting, the oldest for {oldest} s; {taken} taken": (
        "{waiting} en attente, au plus depuis {oldest} s ; {taken} en main"
    ),
    # pages/templates/400.html
    "Bad request": "Requête incorrecte",
    "The server could not understand what your browser sent.": (
        "Le serveur n'a pas compris ce que votre navigateur a envoyé."
    ),
    "Back to the home page": "Retour à l'accueil",
    # pages/templates/403.html
    "Forbidden": "Accès interdit",
    "You may not see this page.": "Vous n'avez pas le droit de voir cette page.",
    # pages/templates/403_csrf.html
    "Form expired": "Formulaire périmé",
    "Reload the page with the form and send it again. Your browser must accept cookies.": (
        "Rechargez la page du formulaire et renvoyez-le. Votre navigateur doit accepter les"
        " cookies."
    ),
    # pages/templates/404.html
    "Page not found": "Page introuvable",
    "There is nothing at this address.": "Il n'y a rien à cette adresse.",
    # pages/templates/500.html
    "Server error": "Erreur du serveur",
    "Something went wrong here, not with you. It is in the log; please try again later.": (
        "Le problème vient d'ici, pas de vous. Il est noté dans le journal ; réessayez plus tard."
    ),
    # pages/templates/503.html
    "The site is busy": "Le site est occupé",
    "The site cannot reach its data just now, and nothing of yours was saved. Please try "
    "again in a moment.": (
        "Le site n'accède pas à ses données pour l'instant, et rien de ce que vous avez envoyé "
        "n'a été enregistré. Réessayez dans un instant."
    ),
    "Others are writing just now, and nothing of yours was saved. Please try again in a moment.": (
        "D'autres écrivent en ce moment, et rien de vous n'a été enregistré. Veuillez réessayer"
        " dans un instant."
    ),
    # pages/templates/pages/base.html
    "Home": "Accueil",
    # pages/templates/pages/home.html
    "It works": "Ça marche",
    "makes the pages": "fait les pages",
    "Release:": "Version :",
    "serves them": "les sert",
    "Master:": "Maître :",
    "Not this one: it comes from another server.": "Pas celle-ci : un autre serveur l'a envoyée.",
    "keeps gunicorn running": "garde gunicorn en marche",
    "Look at it:": "Le regarder :",
    "Start it:": "Le lancer :",
    "What to do next": "Et maintenant",
    "Create your account:": "Créez votre compte :",
    "Log in to the administration": "Connectez-vous à l'administration",
    "Write your own home page:": "Écrivez votre page d'accueil :",
    "Write an app of your own:": "Écrivez votre propre application :",
    "Read the lesson:": "Lisez la leçon :",
    # pages/testing.py
    "What tests of pages begin with.": "Ce par quoi commencent les tests de pages.",
    "With a database, by http, and no static files need be collected.": (
        "Avec une base de données, en http, et sans qu'il faille rassembler les fichiers statiques."
    ),
    # pages/tests.py
    "Tests of the pages: venv/bin/python manage.py test": (
        "Les tests des pages : venv/bin/python manage.py test"
    ),
    # pages/views.py
    "The pages of the site.": "Les pages du site.",
    "Shows that the site works, and what to do next.": (
        "Montre que le site marche, et quoi faire ensuite."
    ),
    "supervisord gives these to each program that it starts.": (
        "supervisord les donne à chaque programme qu'il lance."
    ),
    "What has been uploaded, where no nginx sends it: on a laptop. It runs nothing.": (
        "Un fichier envoyé, là où aucun nginx ne le remet : sur un portable. Il n'exécute rien."
    ),
    "Says whether the site works: 200, or 503 with the reason in the log only.": (
        "Dit si le site marche : 200, ou 503 et la raison dans le seul journal."
    ),
    "The database does not answer.": "La base de données ne répond pas.",
    "Which release it is, this machine alone is told.": (
        "De quelle version il s'agit, cette machine seule l'apprend."
    ),
    "Whether the machine itself asks; by a UNIX socket there is no address.": (
        "Si c'est la machine elle-même qui demande ; par une socket UNIX il n'y a pas d'adresse."
    ),
    "Tells this machine how many tasks wait, how many seconds the oldest has waited, and how "
    "many the worker has taken; 503 where the broker does not answer.": (
        "Dit à cette machine combien de tâches attendent, depuis combien de secondes la plus "
        "ancienne, et combien le worker en a en main ; 503 si le courtier ne répond pas."
    ),
    "The broker does not answer.": "Le courtier ne répond pas.",
    "Django's page; or one for what passes: PostgreSQL is down, full, or busy with others.": (
        "La page de Django ; ou une autre pour ce qui passera : PostgreSQL est arrêté, saturé, ou "
        "pris par d'autres."
    ),
    "SQLite writes into these files and beside them.": (
        "SQLite écrit dans ces fichiers et à côté d'eux."
    ),
    "Only asked: to write would mean to wait for whoever is writing.": (
        "Seulement demandé : écrire, ce serait attendre celui qui écrit."
    ),
    "Django's page; or one that says that others have been writing for too long.": (
        "La page de Django ; ou une qui dit que d'autres écrivent depuis trop longtemps."
    ),
    "Without the request: it could ask the database for the user.": (
        "Sans la requête : elle pourrait demander l'utilisateur à la base."
    ),
    # pages/{% if cookiecutter.tasks == 'celery' %}queue.py{% endif %}
    "How many tasks wait, and for how long: as the broker knows it.": (
        "Combien de tâches attendent, et depuis quand : comme le sait le courtier."
    ),
    "Tasks that wait, seconds that the oldest has waited, and tasks that the worker has "
    "taken: those it does, and those that are to be tried again later.": (
        "Les tâches en attente, les secondes d'attente de la plus ancienne, et les tâches que le "
        "worker a en main : celles qu'il fait, et celles à retenter plus tard."
    ),
    "The list with what a worker has just taken out of a queue: broker.py.": (
        "La liste de ce qu'un worker vient de prendre dans une file : broker.py."
    ),
    "A client of its own, which waits no longer than a second.": (
        "Un client à part, qui n'attend pas plus d'une seconde."
    ),
    "Of a UNIX socket, Celery and Redis have names of their own.": (
        "Pour une socket UNIX, Celery et Redis ont chacun leur nom."
    ),
    "Raises redis.RedisError where the broker does not answer.": (
        "Lève redis.RedisError si le courtier ne répond pas."
    ),
    # pages/{% if cookiecutter.tasks == 'celery' %}tasks.py{% endif %}
    "What the site does beside its pages. A task may run twice: where a machine fails, "
    "nobody knows how far it has come.": (
        "Ce que le site fait à côté de ses pages. Une tâche peut s'exécuter deux fois : quand "
        "une machine tombe, personne ne sait où elle en était."
    ),
    "Those that have expired: Django never deletes them by itself.": (
        "Celles qui ont expiré : Django ne les efface jamais de lui-même."
    ),
    "For half a day: the mail server may be away over night.": (
        "Pendant une demi-journée : le serveur de courriel peut manquer toute une nuit."
    ),
    "Sends a mail as EMAIL_URL says; queued_mails.py queues it.": (
        "Envoie un courriel comme le dit EMAIL_URL ; queued_mails.py le met dans la file."
    ),
    "A mail that is written already, as Django's backends take it.": (
        "Un courriel déjà écrit, tel que les backends de Django le prennent."
    ),
    # pyproject.toml
    "For the tools that read the Python code. The packages of the site stand in requirements.in.": (
        "Pour les outils qui lisent le code Python. Les paquets du site sont dans requirements.in."
    ),
    "The oldest Python that the site runs on": "Le plus vieux Python sur lequel tourne le site",
    "makemigrations writes them, in a form of its own.": (
        "C'est makemigrations qui les écrit, dans une forme à lui."
    ),
    "What goes wrong in Django's models, beside ruff's own choice": (
        "Les défauts des modèles de Django, en plus de ce que ruff choisit lui-même"
    ),
    "Django's models and the administration are written with lists in their classes.": (
        "Les modèles de Django et l'administration s'écrivent avec des listes dans leurs classes."
    ),
    # requirements-dev.in
    "What one develops with: ./bootstrap.sh --dev adds it to the venv, and no release has "
    "it. ./packages.sh writes requirements-dev.txt.": (
        "Les outils de développement : ./bootstrap.sh --dev les ajoute au venv, une publication "
        "ne les prend pas. ./packages.sh écrit requirements-dev.txt."
    ),
    "What both need has the same version in both.": (
        "Ce que demandent les deux listes y a la même version."
    ),
    "What a page has cost, beside the page, while DEBUG is on": (
        "Ce qu'une page a coûté, à côté de la page, tant que DEBUG vaut on"
    ),
    "Finds mistakes in the Python code, and gives it one form: ./check.sh": (
        "Trouve les fautes du code Python, et lui donne une même forme : ./check.sh"
    ),
    "Adds and upgrades packages: ./packages.sh": "Ajoute et met à jour les paquets : ./packages.sh",
    # requirements.in
    "What the site asks for by name. After a change, ./packages.sh writes requirements.txt anew.": (
        "Ce que le site demande par son nom. Après un changement, ./packages.sh réécrit "
        "requirements.txt."
    ),
    "Long-term support until April 2028; runs on Python 3.10 to 3.14": (
        "Suivi à long terme jusqu'en avril 2028 ; de Python 3.10 à 3.14"
    ),
    "Content-Security-Policy and Permissions-Policy, which Django 5.2 does not send": (
        "Content-Security-Policy et Permissions-Policy, que Django 5.2 n'envoie pas"
    ),
    "Settings from the environment and from .env": "Les réglages de l'environnement et de .env",
    "The web server, and what keeps it running; supervisor knows Python 3.13 since 4.3."
    " deploy/gunicorn_classes and deploy/supervisor_plugin change what these two do inside: a new"
    " major version may do it differently.": (
        "Le serveur web, et ce qui le maintient en marche ; supervisor connaît Python 3.13 depuis"
        " sa version 4.3. deploy/gunicorn_classes et deploy/supervisor_plugin changent ce que font"
        " ces deux-là à l'intérieur : une nouvelle version majeure peut s'y prendre autrement."
    ),
    "PostgreSQL, with its library: nothing to compile": (
        "PostgreSQL, avec sa bibliothèque : rien à compiler"
    ),
    "Tasks that no page waits for, and the client of their broker": (
        "Les tâches qu'aucune page n'attend, et le client de leur courtier"
    ),
    "Static files, compressed and cached for ever": (
        "Les fichiers statiques, compressés et gardés en cache pour toujours"
    ),
    "Time zones, where the system has none": "Les fuseaux horaires, là où le système n'en a pas",
    "Packages for a machine without a network: venv/bin/pip download": (
        "Les paquets d'une machine sans réseau : venv/bin/pip download"
    ),
    "Your own: ./packages.sh add NAME": "Les vôtres : ./packages.sh add NOM",
    # <slug>/__init__.py
    "The site's settings, addresses and tasks.": (
        "Les réglages, les adresses et les tâches du site."
    ),
    "Whoever queues a task finds this app.": (
        "Qui met une tâche dans la file trouve cette application."
    ),
    # <slug>/dot_env.py
    "Reads .env for the settings, and says in a sentence what is wrong with it: never a value.": (
        "Lit .env pour les réglages, et dit d'une phrase ce qui n'y va pas, sans jamais montrer une"
        " valeur."
    ),
    "What may stand in a line: nothing, a comment, or NAME=value": (
        "Ce qu'une ligne peut contenir : rien, un commentaire, ou NOM=valeur"
    ),
    "What a switch may be, in any case": "Ce que peut être un interrupteur, en majuscules comme en minuscules",
    "The number of a database": "Le numéro d'une base",
    "django-environ, with this file. The variables of the shell go first.": (
        "django-environ, avec ce fichier. Les variables du shell passent d'abord."
    ),
    "On a server, a release has but a link to it.": (
        "Sur un serveur, une version n'en a qu'un lien."
    ),
    "{file} cannot be read: {reason}.": "{file} n'est pas lisible : {reason}.",
    "{file} is not in UTF-8: save it in this encoding.": (
        "{file} n'est pas en UTF-8 : enregistrez-le dans cet encodage."
    ),
    "{file}, line {number}: write NAME=value, with no space before it or around =.": (
        "{file}, ligne {number} : écrivez NOM=valeur, sans espace devant ni autour de =."
    ),
    "What django-environ does not understand, it would print.": (
        "Ce que django-environ ne comprend pas, il l'afficherait."
    ),
    "As it stands there: django-environ takes $NAME for another variable, but a secret may begin"
    " with $.": (
        "Telle quelle : django-environ prend $NOM pour une autre variable, or un secret peut"
        " commencer par $."
    ),
    "{file} lacks {name}: add its line, as .env.example has it; a .env that is missing is written"
    " by ./bootstrap.sh.": (
        "{name} manque dans {file} : ajoutez sa ligne, comme dans .env.example ; un .env absent est"
        " écrit par ./bootstrap.sh."
    ),
    "django-environ takes what it does not know, a typo, for off.": "django-environ prend ce qu'il ne connaît pas, une faute de frappe, pour off.",
    "{file}: write {name} as on or off.": "{file} : écrivez {name} sous la forme on ou off.",
    "Names and addresses, as Django takes them.": (
        "Des noms et des adresses, comme Django les prend."
    ),
    "{file}: write {name} as addresses, with a comma between: ada@example.org, Zoe "
    "<zoe@example.org>.": (
        "{file} : écrivez {name} comme des adresses séparées par des virgules : ada@example.org, "
        "Zoe <zoe@example.org>."
    ),
    "Django's settings of the database that DATABASE_URL names.": (
        "Les réglages de Django de la base que désigne DATABASE_URL."
    ),
    "Of a URL that it does not know, django-environ would print the password.": (
        "D'une URL qu'il ne connaît pas, django-environ afficherait le mot de passe."
    ),
    "{file}: write {name} as postgresql:///NAME, or as postgresql://USER:PASSWORD@HOST/NAME "
    "with %40 for @ and the like in USER and PASSWORD.": (
        "{file} : écrivez {name} sous la forme postgresql:///BASE, ou "
        "postgresql://UTILISATEUR:MOT_DE_PASSE@HOTE/BASE, avec %40 pour @, et ainsi de suite, "
        "dans UTILISATEUR et MOT_DE_PASSE."
    ),
    "The settings of Django's that EMAIL_URL stands for.": (
        "Les réglages de Django que représente EMAIL_URL."
    ),
    "{file}: write {name} as smtp+tls://user:password@smtp.example.org:587, with %40 for @ "
    "and the like in user and password, or as consolemail://.": (
        "{file} : écrivez {name} comme smtp+tls://user:password@smtp.example.org:587, avec %40 "
        "pour @, et ainsi de suite, dans user et password, ou comme consolemail://."
    ),
    "The URL of Redis, as Celery takes it.": "L'URL de Redis, telle que Celery la prend.",
    "{file}: write {name} as redis://:PASSWORD@HOST:6379/0, or as rediss:// for TLS, with %2F for / and the like in the password.": "{file} : écrivez {name} sous la forme redis://:MOT_DE_PASSE@HÔTE:6379/0, ou rediss:// pour TLS, avec %2F pour / et ainsi de suite dans le mot de passe.",
    # <slug>/error_mails.py
    "Tells ADMINS of errors: what goes to the log as ERROR is put into var/mails, and "
    "deploy/server/ sends it. So no page waits for a mail server.": (
        "Avertit les ADMINS des erreurs : ce qui va au journal comme ERROR est mis dans "
        "var/mails, et deploy/server/ l'envoie. Ainsi, aucune page n'attend un serveur de courriel."
    ),
    "The mail has what the log has: no form, no cookie and no variable of a visitor's.": (
        "Le courriel a ce qu'a le journal : ni formulaire, ni cookie, ni variable d'un visiteur."
    ),
    "Tests make errors on purpose; Django gives them this box.": (
        "Les tests font des erreurs exprès ; Django leur donne cette boîte."
    ),
    "What makes an error the same as another: its kind, and the last line of the site's code "
    "on its way.": (
        "Ce qui rend deux erreurs semblables : leur espèce, et la dernière ligne du code du site "
        "sur leur chemin."
    ),
    # <slug>/settings.py
    "Settings of the site. What differs between machines comes from the environment or .env.": (
        "Les réglages du site. Ce qui dépend de la machine vient de l'environnement ou de .env."
    ),
    "On a server each release has a folder of its own, whose name tells it.": (
        "Sur un serveur, chaque version a son dossier, dont le nom la désigne."
    ),
    "Safe unless said otherwise: a server that forgets its .env sends visitors to https.": (
        "Sûr sauf avis contraire : un serveur qui oublie son .env renvoie les visiteurs en https."
    ),
    "How mails leave: EMAIL_HOST and the like": (
        "Par où partent les courriels : EMAIL_HOST et ses semblables"
    ),
    "A task sends them.": "Une tâche les envoie.",
    "A mail server that says nothing holds a page no longer; well below the timeout of gunicorn.": (
        "Un serveur de courriel qui ne dit rien ne retient pas une page plus longtemps ; bien en "
        "deçà du timeout de gunicorn."
    ),
    "Who is told of errors and of what dies; and from whom mails come": (
        "Qui est averti des erreurs et de ce qui meurt ; et de qui viennent les courriels"
    ),
    "What a page has cost, beside the page: where ./bootstrap.sh --dev has put it, and never "
    "without DEBUG.": (
        "Ce qu'une page a coûté, à côté de la page : là où ./bootstrap.sh --dev l'a installé, et "
        "jamais sans DEBUG."
    ),
    "Open, it hides a part of the page: a tab opens it.": (
        "Ouverte, elle cache une partie de la page : un onglet l'ouvre."
    ),
    "What the site writes is for itself and its group: the database holds its visitors' data. What"
    " visitors may read gets its own rights: static files and uploads, and their folders.": (
        "Ce que le site écrit est pour lui et son groupe : la base contient les données de ses"
        " visiteurs. Ce que les visiteurs peuvent lire a ses propres droits : fichiers statiques et"
        " envois, et leurs dossiers."
    ),
    "A connection for each request would cost more than the queries; one that the server has "
    'closed meanwhile is opened anew. No pool of Django\'s ("pool" in OPTIONS): what a '
    "master opens before it forks, two workers would share.": (
        "Une connexion par requête coûterait plus que les requêtes SQL ; celle que le serveur a "
        "fermée entre-temps est rouverte. Pas de réserve de connexions de Django (« pool » dans "
        "OPTIONS) : ce qu'un maître ouvre avant de se dupliquer, deux workers se le partageraient."
    ),
    "Each process has its own, unless several servers share the site: dbcache://cache": "Chaque processus a le sien, sauf si plusieurs serveurs se partagent le site : dbcache://cache",
    "Opening the file anew for each request costs more than the queries.": (
        "Rouvrir le fichier à chaque requête coûte plus que les lectures elles-mêmes."
    ),
    "The three go together. WAL: readers and a writer do not wait for each other. NORMAL: safe with"
    ' WAL, and faster. IMMEDIATE: writers queue up instead of failing with "database is locked".': (
        "Les trois vont ensemble. WAL : lecteurs et écrivain ne s'attendent pas. NORMAL : sûr avec"
        " WAL, et plus rapide. IMMEDIATE : les écrivains font la queue au lieu d'échouer avec «"
        " database is locked »."
    ),
    "Seconds to wait for another writer; then the visitor is asked to come again. Two waits end"
    " before gunicorn calls it a hang.": (
        "Secondes à attendre un autre écrivain ; puis le visiteur est prié de revenir. Deux"
        " attentes finissent avant que gunicorn y voie un blocage."
    ),
    "Tasks: what Celery's manual calls broker_url is CELERY_BROKER_URL here, and so on.": (
        "Les tâches : ce que le manuel de Celery appelle broker_url est ici CELERY_BROKER_URL, "
        "et ainsi de suite."
    ),
    "By TLS, it must show a certificate of its name: by itself, Celery takes any.": (
        "Par TLS, il doit montrer un certificat à son nom : Celery, de lui-même, les prend tous."
    ),
    "Seconds: a page that queues a task asks a broker that does not answer twice.": (
        "Secondes : une page qui met une tâche dans la file demande deux fois à un courtier qui "
        "ne répond pas."
    ),
    "Seconds after which a task is done again whose worker was killed, and its machine with "
    "it. More than a task may take.": (
        "Secondes après lesquelles on refait une tâche dont le worker a été tué, et sa machine "
        "avec lui. Plus qu'une tâche ne peut durer."
    ),
    "A task leaves the queue when it is done, not when it has begun: none is lost with its "
    "process.": (
        "Une tâche quitte la file quand elle est faite, non quand elle a commencé : aucune ne se "
        "perd avec son processus."
    ),
    "The worker takes as many as it does at a time.": (
        "Le worker en prend autant qu'il en fait à la fois."
    ),
    "At a stop, a task has this many seconds to end; then it goes back to the queue.": (
        "À un arrêt, une tâche a tant de secondes pour finir ; ensuite elle retourne dans la file."
    ),
    "One that takes longer fails, and the log has its place; where it does not heed that, "
    "its process is ended.": (
        "Celle qui dure davantage échoue, et le journal a l'endroit ; si elle n'en tient pas "
        "compte, son processus est arrêté."
    ),
    "A process is replaced after so many tasks, or once it has grown to this (KiB).": (
        "Un processus est remplacé après tant de tâches, ou quand il a grossi jusque-là (Kio)."
    ),
    "Within so many seconds a new one must be up, or it is ended. While the worker looks for its broker, it does not hear of it.": "En autant de secondes, un nouveau processus doit être prêt, sinon il est arrêté. Tant que le worker cherche son broker, il n'en apprend rien.",
    "What a task returns is nobody's, unless it says so itself.": (
        "Ce que rend une tâche n'est à personne, sauf si elle le dit elle-même."
    ),
    "Their log is the site's: errors are mailed.": (
        "Leur journal est celui du site : les erreurs sont envoyées par courriel."
    ),
    "What beat queues, and when": "Ce que beat met dans la file, et quand",
    "The site has no other login form yet.": (
        "Le site n'a pas encore d'autre formulaire de connexion."
    ),
    "Each file gets a name with its fingerprint: browsers keep it for ever, a change is seen at"
    " once.": (
        "Chaque fichier reçoit un nom qui porte son empreinte : les navigateurs le gardent pour"
        " toujours, un changement se voit aussitôt."
    ),
    "Which fingerprint is this release's; the files of the others stay, for pages that are open in"
    " browsers.": (
        "Quelle empreinte est celle de cette version ; les fichiers des autres restent, pour les"
        " pages ouvertes dans des navigateurs."
    ),
    "What is uploaded. nginx sends it to visitors; on a laptop, urls.py does.": (
        "Les fichiers envoyés. nginx les remet aux visiteurs ; sur un portable, c'est urls.py."
    ),
    "The proxy says by X-Forwarded-Proto how the visitor came; gunicorn passes it on.": (
        "Le proxy dit par X-Forwarded-Proto comment le visiteur est venu ; gunicorn le transmet."
    ),
    "A health check comes from this very machine, by http.": (
        "La vérification de santé vient de cette machine même, en http."
    ),
    "HSTS for subdomains and its preload list bind names that are not this site's, for years.": (
        "HSTS pour les sous-domaines et sa liste de préchargement engagent, pour des années, des"
        " noms qui ne sont pas ceux de ce site."
    ),
    "Pages load nothing from elsewhere and run no script of their own text.": (
        "Les pages ne chargent rien d'ailleurs et n'exécutent aucun script écrit dans leur texte."
    ),
    "Makes a warning without a traceback of what is a visitor's fault.": (
        "Fait un avertissement, sans trace d'appels, de ce qui est la faute d'un visiteur."
    ),
    "Everything goes to standard error, which supervisord keeps in var/log; errors are "
    "mailed to ADMINS, too.": (
        "Tout va à la sortie d'erreur, que supervisord garde dans var/log ; les erreurs partent "
        "aussi par courriel aux ADMINS."
    ),
    # <slug>/urls.py
    "Which address shows which page.": "Quelle adresse montre quelle page.",
    (
        '"Forgotten your password?" below the login form of the administration, and the way by '
        "mail to a new one"
    ): (
        "« Mot de passe oublié ? » sous le formulaire de connexion de l'administration, et le "
        "chemin, par courrier, vers un nouveau"
    ),
    # <slug>/wsgi.py
    "What gunicorn serves.": "Ce que sert gunicorn.",
    "Django would load the pages at the first request: here, an error in them ends the start.": (
        "Django chargerait les pages à la première requête : ici, leurs erreurs arrêtent le"
        " démarrage."
    ),
    # <slug>/{% if cookiecutter.tasks == 'celery' %}beat.py{% endif %}
    "Celery's beat, which queues what is due: of several, on several machines, one has its turn.": (
        "Le beat de Celery, qui met dans la file ce dont l'heure est venue : de plusieurs, sur "
        "plusieurs machines, un seul a son tour."
    ),
    "Seconds after which another beat has its turn, where this one is gone": (
        "Secondes après lesquelles c'est le tour d'un autre beat, si celui-ci a disparu"
    ),
    "Seconds that a task may wait before ADMINS are told": (
        "Secondes qu'une tâche peut attendre avant que ADMINS soient prévenus"
    ),
    "Celery's own, which also looks whether tasks wait for too long.": (
        "Celui de Celery, qui regarde aussi si des tâches attendent trop longtemps."
    ),
    "When it was said that tasks wait": "Quand il a été dit que des tâches attendent",
    "Called when something may be due; returns the seconds until the next time.": (
        "Appelée quand l'heure de quelque chose peut être venue ; rend les secondes jusqu'à la "
        "prochaine fois."
    ),
    "The broker does not answer: %s": "Le courtier ne répond pas : %s",
    "%d tasks wait, the oldest for %d seconds: see var/log/worker.log.": (
        "%d tâches attendent, la plus ancienne depuis %d secondes : voyez var/log/worker.log."
    ),
    "Called at its end: the next one need not wait.": (
        "Appelée à sa fin : le suivant n'a pas à attendre."
    ),
    # <slug>/{% if cookiecutter.tasks == 'celery' %}broker.py{% endif %}
    "Redis as the broker of Celery, without the moment in which a task is nowhere.": (
        "Redis comme courtier de Celery, sans l'instant où une tâche n'est nulle part."
    ),
    'Celery\'s own way takes a task out of its queue, and then notes in "unacked" that it '
    "is being done: a worker that is killed between both has lost it. Here Redis moves it "
    "into another list, in one step; it leaves that once it is noted. What is left there by "
    "a worker that was killed, or whose connection was lost, goes back to the queue.": (
        "Celery, de lui-même, ôte une tâche de sa file, puis note dans « unacked » qu'elle est "
        "en cours : un worker tué entre les deux l'a perdue. Ici Redis la déplace dans une autre "
        "liste, d'un seul coup ; elle en sort une fois notée. Ce qu'y laisse un worker tué, ou "
        "dont la connexion s'est perdue, retourne dans la file."
    ),
    "Asks one queue at a time, where a worker has several: Redis moves nothing out of many.": (
        "Demande à une file à la fois, si un worker en a plusieurs : Redis ne déplace rien hors "
        "de plusieurs."
    ),
    "Of this process: queues that were asked, and whose answer has not been dealt with": (
        "De ce processus : les files interrogées, dont la réponse n'a pas encore été traitée"
    ),
    "Asks for the next task, and waits a second for one.": (
        "Demande la tâche suivante, et l'attend une seconde."
    ),
    "The connection was lost, and the task with it that it may have brought.": (
        "La connexion s'est perdue, et avec elle la tâche qu'elle a pu apporter."
    ),
    "The answer has come.": "La réponse est venue.",
    "A new process of the pool closes what it has inherited: the answer is that of the worker.": (
        "Un nouveau processus du pool ferme ce dont il a hérité : la réponse est celle du worker."
    ),
    "Puts into these queues again what was taken out of them and is not noted yet.": (
        "Remet dans ces files ce qui en a été sorti et n'est pas encore noté."
    ),
    "Queues again what was noted as being done, where nobody is at it.": (
        "Remet dans la file ce qui est noté comme en cours, là où personne ne s'en occupe."
    ),
    # <slug>/{% if cookiecutter.tasks == 'celery' %}celery.py{% endif %}
    "Tasks that no page waits for: Celery, as the settings say. supervisord runs its worker "
    "and its beat.": (
        "Les tâches qu'aucune page n'attend : Celery, comme le disent les réglages. supervisord "
        "fait tourner son worker et son beat."
    ),
    "What each task has, unless it says otherwise: what fails for a moment is tried again, "
    "later and later, and not all at the same time.": (
        "Ce qu'a chaque tâche, sauf si elle dit autrement : ce qui échoue un moment est retenté, "
        "de plus en plus tard, et pas tout en même temps."
    ),
    "Another machine that does not answer; a database that is busy or away": (
        "Une autre machine qui ne répond pas ; une base de données occupée ou absente"
    ),
    "Seconds; well below visibility_timeout in the settings": (
        "Secondes ; bien en dessous de visibility_timeout dans les réglages"
    ),
    "Where the broker is away just then, the task itself goes back to its queue: Celery "
    "would drop it.": (
        "Si le courtier n'est pas là à cet instant, la tâche elle-même retourne dans sa file : "
        "Celery la laisserait tomber."
    ),
    "Queues it once what the page writes is saved. Where the broker is away, the log says "
    "which task it was, and the page goes on.": (
        "La met dans la file une fois enregistré ce qu'écrit la page. Si le courtier n'est pas "
        "là, le journal dit quelle tâche c'était, et la page continue."
    ),
    "%s could not be queued, with %s and %s.": "%s n'a pu être mise dans la file, avec %s et %s.",
    "What a broker's URL begins with names it; Redis is asked as broker.py says.": (
        "Le début de l'URL d'un courtier le nomme ; on demande à Redis comme le dit broker.py."
    ),
    "For whoever asks how long the oldest task has waited: pages/queue.py.": (
        "Pour qui demande depuis quand attend la plus ancienne : pages/queue.py."
    ),
    "The worker itself keeps nobody waiting.": "Le worker, lui, ne fait attendre personne.",
    "What a worker that was killed had taken is queued again, unless another one may be at "
    "it: the broker alone would wait for visibility_timeout.": (
        "Ce qu'avait pris un worker qui a été tué retourne dans la file, à moins qu'un autre n'y "
        "soit peut-être : le courtier seul attendrait visibility_timeout."
    ),
    # <slug>/{% if cookiecutter.tasks == 'celery' %}queued_mails.py{% endif %}
    "The site's mails go through a task: no page waits for a mail server, and what it does "
    "not take now is tried again.": (
        "Les courriels du site passent par une tâche : aucune page n'attend un serveur de "
        "courriel, et ce qu'il ne prend pas maintenant est retenté."
    ),
    "Queues them once what the page writes is saved; returns how many.": (
        "Les met dans la file une fois enregistré ce qu'écrit la page ; rend leur nombre."
    ),
    "Where the broker is away, the page waits for the mail server: better late than never.": (
        "Si le courtier n'est pas là, la page attend le serveur de courriel : mieux vaut tard "
        "que jamais."
    ),
    "A mail could not be queued (%s), and is sent at once.": (
        "Un courriel n'a pu être mis dans la file (%s), et part tout de suite."
    ),
}
