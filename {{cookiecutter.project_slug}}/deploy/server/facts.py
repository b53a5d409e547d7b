"""_("The facts of the site on its server. Each stands in this one place; deploy/install.sh brings a change to the machine.")"""

#: The folder of the site
FOLDER = {{ cookiecutter.install_dir | python }}
#: The user that runs it
USER = {{ cookiecutter.run_user | python }}
#: The host name that visitors ask for
DOMAIN = {{ cookiecutter.domain_name | idna | python }}
#% if cookiecutter.database == "postgresql"
#: The name of its database, where that is made for it
DATABASE = "{{ cookiecutter.project_slug }}"
#% endif
#: The package with its settings
PACKAGE = "{{ cookiecutter.project_slug }}"
#: supervisord's name of the gunicorn masters, as [fcgi-program:...] in deploy/supervisord.conf has it
GROUP = "gu-{{ cookiecutter.project_slug }}"
