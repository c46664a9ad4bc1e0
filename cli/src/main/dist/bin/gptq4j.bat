@echo off
rem Starts gptq4j on the Java of JAVA_HOME or the PATH. Options for Java: GPTQ4J_OPTS, JAVA_OPTS.
setlocal
set "java=java"
if defined JAVA_HOME set "java=%JAVA_HOME%\bin\java.exe"
"%java%" -version >nul 2>&1
if errorlevel 1 (
    echo gptq4j: Java was not found. Install Java 17 or newer ^(https://adoptium.net^) or correct JAVA_HOME. 1>&2
    exit /b 1
)
if not defined OMP_WAIT_POLICY set "OMP_WAIT_POLICY=PASSIVE"
if not defined OPT_OUT_TRACKING set "OPT_OUT_TRACKING=true"
"%java%" -XX:+UseSerialGC -XX:MinHeapFreeRatio=10 -XX:MaxHeapFreeRatio=25 --enable-native-access=ALL-UNNAMED -Dai.djl.offline=true -Djdk.console=java.base %JAVA_OPTS% %GPTQ4J_OPTS% -cp "%~dp0..\lib\*" io.gptq4j.cli.Main %*
exit /b %errorlevel%
